"""What one look at a daemon brings."""

from dataclasses import dataclass

from peer.telemetry.event import Event
from protocol.control import Detail


@dataclass(frozen=True, slots=True)
class Seen:
    """One look.

    Attributes:
        detail: what the daemon said last.
        events: the last lines of its event log, the newest last.
        fresh: of them, those that came since the last look.
        silent: seconds for which it has not answered since; 0 where it just did.
        keys: what the keyboard does, for the last line.
    """

    detail: Detail
    events: tuple[Event, ...] = ()
    fresh: tuple[Event, ...] = ()
    silent: float = 0.0
    keys: str = ""
