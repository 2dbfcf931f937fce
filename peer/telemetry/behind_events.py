"""What is told of a peer that the others have left behind: it was paused, switched off, or asleep."""

from peer.telemetry.event import Event
from peer.telemetry.format import format_seconds


class FellBehind(Event, frozen=True, kw_only=True):
    """The others are too far ahead for a mix: the peer fetches their state, and trains on meanwhile."""

    outer_steps: int

    def _words(self) -> str:
        return f"catching up: {self.outer_steps:,} outer steps behind; fetching what the others have"


class CaughtUp(Event, frozen=True, kw_only=True):
    """The peer goes on from the others' state, and exchanges again."""

    outer_steps: int
    seconds: float

    def _words(self) -> str:
        return f"caught up with {self.outer_steps:,} outer steps, in {format_seconds(self.seconds)}"


class StayedBehind(Event, frozen=True, kw_only=True):
    """Catching up came to nothing. The peer goes on with what it has, and tries again later."""

    outer_steps: int
    reason: str

    def _words(self) -> str:
        return f"still {self.outer_steps:,} outer steps behind, goes on with what it has: {self.reason}"
