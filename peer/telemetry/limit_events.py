"""What is told of the limits of a peer, and of what it uses."""

import textwrap

from peer.telemetry.event import Event
from peer.telemetry.format import format_bytes, printable

_MONTH = 30 * 24 * 3600.0
"""Seconds of `Uses.month_bytes`."""


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


class WillUse(Event, frozen=True, kw_only=True):
    """What this peer will use of its machine: told before it trains, and when that has changed.

    Also before it fetches what the others have learned, but after a base model, which a run needs to begin.
    """

    device: str
    """As it was asked for: `auto`, or names with commas between them."""
    memory: int
    """Bytes of the device's memory by reckoning, activations aside."""
    fetched: int | None
    """Bytes of what the others have learned, which come first; None where nothing does."""
    disk_free: int | None
    disk_needed: int
    """Bytes that its checkpoints take at the most."""
    pauses: tuple[str, ...]
    """When it pauses by itself."""
    caps: tuple[str, ...]
    """What it may use at the most."""

    def _words(self) -> str:
        auto = "an NVIDIA or AMD GPU if there is one, else on the processor"
        return f"will train on {auto if self.device == 'auto' else self.device}"

    def block(self) -> tuple[str, ...]:
        """Return all of it in lines of 71 characters, which stand below the first."""
        free = f"{format_bytes(self.disk_free)} free; " if self.disk_free is not None else ""
        rows = {
            "memory": _of_model(self.memory),
            "disk": f"{free}its checkpoints take up to {format_bytes(self.disk_needed)}",
            "network": f"{format_bytes(self.fetched or 0)} to fetch first: what the others have learned",
            "at most": "; ".join(self.caps) or "what it needs: no limit is set",
            "pauses": "; ".join(self.pauses) or "only when it is told to",
            "change it": "peer limits --help",
        }
        if self.fetched is None:
            del rows["network"]
        return _block(rows)


class Uses(Event, frozen=True, kw_only=True):
    """What training uses, once it has a pace: told when it first trains, and when that has changed."""

    device: str
    name: str
    """What it calls itself; empty where nobody says."""
    memory: int | None
    """Bytes of memory of one device; None where nobody says."""
    batch: int
    """Sequences of one inner step."""
    context: int
    """Tokens of a sequence; 0 where a plug-in's task has examples of its own kind."""
    month_bytes: float | None
    """Bytes of shares each way in 30 days at the present pace; None where nothing tells."""
    taken: int | None = None
    """Bytes of memory: what the trainer has on a processor; on each GPU by reckoning, activations aside."""
    ranks: int = 1
    """Devices that share an inner step."""
    micro_batch: int | None = None
    """Sequences that pass through a device at once; None where that is not known."""

    def _words(self) -> str:
        # Ranks on the CPU have its memory together.
        each = " each" if self.ranks > 1 and not self._on_processor() else ""
        held = f" with {format_bytes(self.memory)} of memory{each}" if self.memory is not None else ""
        named = f", {self.name}" if self.name else ""
        return f"uses {self.device}{named}{held}"

    def block(self) -> tuple[str, ...]:
        """Return all of it in lines of 71 characters, which stand below the first."""
        rows = {
            "memory": self._memory(),
            "batch": f"{self.batch} {self._kind()} an inner step{self._passing()}",
            "network": self._traffic(),
        }
        if self.taken is None:
            del rows["memory"]
        return _block(rows)

    def _on_processor(self) -> bool:
        return self.device.startswith("cpu")

    def _memory(self) -> str:
        if self._on_processor():
            return f"{format_bytes(self.taken or 0)} now"
        return _of_model(self.taken or 0) + " on each device" * (self.ranks > 1)

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
        month = format_bytes(self.month_bytes)
        return f"{_megabits(self.month_bytes / _MONTH)} each way on average: {month} a month"


def _of_model(size: int) -> str:
    return f"about {format_bytes(size)} for the model, beside program and batch"


def _megabits(bytes_a_second: float) -> str:
    rate = 8 * bytes_a_second / 1e6
    return "under 0.01 Mbit/s" if rate < 0.01 else f"{rate:,.{2 if rate < 1 else 1}f} Mbit/s"


def _block(rows: dict[str, str]) -> tuple[str, ...]:
    return tuple(line for name, words in rows.items() for line in _paragraph(name, printable(words)))


def _paragraph(name: str, words: str) -> list[str]:
    return textwrap.wrap(f"{name + ':':<11}{words}", 71, subsequent_indent=" " * 11)
