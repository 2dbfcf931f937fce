"""What every event is: a time, a kind, and words for a person."""

import re
import time

import msgspec
from msgspec import field

from peer.telemetry.format import printable


def _tag(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


class Event(msgspec.Struct, frozen=True, kw_only=True, tag=_tag, tag_field="event"):
    """Base of all events. A new field needs a default: logs of older versions are read too."""

    time: float = field(default_factory=time.time)
    """Seconds since 1970, by this host's clock."""

    def describe(self) -> str:
        """Return one line for a person, safe to print: what strangers sent is cleaned."""
        return printable(self._words())

    def block(self) -> tuple[str, ...]:
        """Return lines that stand below that one in the log of a terminal; for the few with more to say."""
        return ()

    def _words(self) -> str:
        raise NotImplementedError
