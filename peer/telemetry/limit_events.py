"""What is told of the limits of a peer, and of what it uses."""

import textwrap

from peer.telemetry.event import Event
from peer.telemetry.format import format_bytes, printable


class LimitsChanged(Event, frozen=True, kw_only=True):
    """Other limits are in force: a person has changed `limits.toml`."""

    limits: tuple[str, ...]
    """What is in force now, a phrase each."""

    def _words(self) -> str:
        return f"new limits: {'; '.join(self.limits) or 'none'}"


class LimitsRefused(Event, frozen=True, kw_only=True):
    """`limits.toml` has become wrong; the limits before stay in force."""

    reason: str

    def _words(self) -> str:
        return f"THE LIMITS STAY AS THEY WERE: {self.reason}"


class Unwatched(Event, frozen=True, kw_only=True):
    """Nothing on this machine watches a limit, or nothing does any more."""

    limit: str
    """The key of `limits.toml`."""
    reason: str

    def _words(self) -> str:
        return f"NOTHING WATCHES {self.limit}: {self.reason}"


class DiskShort(Event, frozen=True, kw_only=True):
    """The disk of the home has no room for all checkpoints that are to be kept: told at each start."""

    free: int
    needed: int
    """Bytes that checkpoints will take beside those that are there."""

    def _words(self) -> str:
        return (
            f"THE DISK IS TOO SMALL: checkpoints take up to {format_bytes(self.needed)} more, and "
            f"{format_bytes(self.free)} are free; once it is full no checkpoint is written"
        )


class Uses(Event, frozen=True, kw_only=True):
    """What this peer uses of its machine: told when it first trains, and when that has changed."""

    device: str
    name: str
    """Of the GPU, or of several; empty for others."""
    memory: int | None
    """Bytes of one GPU's memory."""
    batch: int
    """Sequences of one inner step."""
    context: int
    """Tokens of a sequence; 0 where a plug-in's task has examples of its own kind."""
    disk_free: int | None
    disk_needed: int
    """Bytes that its checkpoints take at the most."""
    month_bytes: float | None
    """Bytes of shares each way in 30 days at the present pace; None where nothing tells."""
    pauses: tuple[str, ...]
    """When it pauses by itself."""
    caps: tuple[str, ...]
    """What it may use at the most."""
    ranks: int = 1
    """Devices that share an inner step."""
    micro_batch: int | None = None
    """Sequences that pass through a device at once; None where that is not known."""

    def _words(self) -> str:
        memory = f"{format_bytes(self.memory or 0)} of memory{' each' * (self.ranks > 1)}"
        named = f", {self.name} with {memory}" if self.name else ""
        return f"uses {self.device}{named}"

    def block(self) -> tuple[str, ...]:
        """Return all of it in lines of 71 characters, which stand below the first."""
        free = f"{format_bytes(self.disk_free)} free; " if self.disk_free is not None else ""
        rows = {
            "batch": f"{self.batch} {self._kind()} an inner step{self._passing()}",
            "disk": f"{free}its checkpoints take up to {format_bytes(self.disk_needed)}",
            "network": self._traffic(),
            "at most": "; ".join(self.caps) or "what it needs: no limit is set",
            "pauses": "; ".join(self.pauses) or "only when it is told to",
            "change it": "peer limits --help",
        }
        return tuple(line for name, words in rows.items() for line in _paragraph(name, printable(words)))

    def _kind(self) -> str:
        return f"sequences of {self.context} tokens" if self.context else "examples"

    def _passing(self) -> str:
        part = -(-self.batch // self.ranks)
        shared = f", {part} on each device" if self.ranks > 1 else ""
        at_once = self.micro_batch or part
        return shared if at_once >= part else f"{shared}, {at_once} at a time"

    def _traffic(self) -> str:
        if self.month_bytes is None:
            return "votes of a few bytes"
        if not self.month_bytes:
            return "nothing to exchange: the run is for one alone"
        return f"about {format_bytes(self.month_bytes)} a month each way at this pace"


def _paragraph(name: str, words: str) -> list[str]:
    return textwrap.wrap(f"{name + ':':<11}{words}", 71, subsequent_indent=" " * 11)
