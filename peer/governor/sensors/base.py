"""What a sensor is: something that is read again and again, and may turn out not to be there."""

from collections.abc import Callable
from dataclasses import dataclass

from peer.governor.readings import Readings


class SensorGoneError(Exception):
    """It is not there, or will not tell; the message says why. It is not asked again."""


@dataclass(frozen=True, slots=True)
class Sensor:
    """One thing that can be watched.

    Attributes:
        serves: the key of `limits.toml` that needs it.
        what: what it watches, in a few words.
        read: looks once. It may block, and raise `SensorGoneError`; what else it raises fails that look.
    """

    serves: str
    what: str
    read: Callable[[], Readings]


@dataclass(frozen=True, slots=True)
class Missing:
    """A limit that nothing on this machine watches.

    Attributes:
        key: of `limits.toml`.
        reason: why.
    """

    key: str
    reason: str
