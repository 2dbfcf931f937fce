"""A liveness oracle: fails a survivor that stops, and a memory or a number of files that grows."""

import statistics
from dataclasses import dataclass, field

STEP_DEADLINES = 3
"""Exchange deadlines that a survivor may go without an inner step."""

EXCHANGE_DEADLINES = 10
"""Exchange deadlines that it may go without an exchange."""

GROWTH = 1.10
"""Factor by which memory may be larger in the last quarter of a life than in the second: allocators breathe,
and a daemon still meets peers and fills tables. One leaked share a minute would be far more."""

MORE_FILES = 8
"""Open files and sockets that may be more: connections come and go."""

ENOUGH = 16
"""Samples of a life from which its flatness can be told."""


@dataclass(frozen=True)
class Sample:
    """A peer at one moment; `seconds` count from the start of the run, memory in bytes."""

    seconds: float
    inner_step: int
    exchanges: int
    deadline: float
    """Of an exchange, in seconds, as the peer has it now."""
    memory: int
    """Of daemon and trainer."""
    files: int


@dataclass
class Life:
    """One peer from a start to an end, be it a kill.

    Attributes:
        patience: seconds until its first inner step: processes load, and a state is fetched.
        complaints: what went wrong.
    """

    peer: str
    began: float
    patience: float
    samples: list[Sample] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    longest_without_step: float = 0.0
    """In deadlines of the moment."""
    longest_without_exchange: float = 0.0
    _stepped: float | None = None
    _exchanged: float | None = None

    def see(self, sample: Sample) -> None:
        """Take in a sample, and complain once of whatever has stopped."""
        last = self.samples[-1] if self.samples else sample
        self.samples.append(sample)
        if sample.inner_step and (self._stepped is None or sample.inner_step != last.inner_step):
            self._stepped = sample.seconds
        if self._exchanged is None or sample.exchanges > last.exchanges:
            self._exchanged = self._stepped and sample.seconds
        self.look(sample.seconds)

    def look(self, seconds: float) -> None:
        """Complain once of whatever has stopped, whether it still says how it is or not."""
        if self._stepped is None or self._exchanged is None:
            if seconds - self.began > self.patience:
                self._complain(f"no inner step in {self.patience:g} s")
            return
        deadline = self.samples[-1].deadline
        without = (seconds - self._stepped) / deadline
        self.longest_without_step = max(self.longest_without_step, without)
        if without > STEP_DEADLINES:
            self._complain(f"no inner step in {STEP_DEADLINES} deadlines")
        without = (seconds - self._exchanged) / deadline
        self.longest_without_exchange = max(self.longest_without_exchange, without)
        if without > EXCHANGE_DEADLINES:
            self._complain(f"no exchange in {EXCHANGE_DEADLINES} deadlines")

    def ended(self, code: int) -> None:
        """Take note that it ended, though nobody had killed it."""
        self._complain(f"ended by itself with code {code}")

    def check_flat(self) -> None:
        """Complain if memory or files grew from the second quarter of this life to the last."""
        quarter = len(self.samples) // 4
        if len(self.samples) < ENOUGH:
            return
        early, late = self.samples[quarter : 2 * quarter], self.samples[-quarter:]
        before, after = (statistics.median(each.memory for each in part) for part in (early, late))
        if after > GROWTH * before:
            self._complain(f"memory grew from {before / 1e6:.0f} to {after / 1e6:.0f} MB")
        before, after = (statistics.median(each.files for each in part) for part in (early, late))
        if after > before + MORE_FILES:
            self._complain(f"open files grew from {before:.0f} to {after:.0f}")

    def _complain(self, complaint: str) -> None:
        if complaint not in self.complaints:
            self.complaints.append(complaint)
