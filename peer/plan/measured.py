"""What a home's event log says of a run's pace and traffic."""

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from peer.telemetry.events import (
    AnyEvent,
    Checkpointed,
    ExchangeDone,
    PeerSeen,
    ShareReady,
    Skipped,
    Stopped,
    TrainerDied,
    TrainerStarted,
)


@dataclass(frozen=True, slots=True)
class Measured:
    """One peer's run, as it logged it.

    Attributes:
        device: where it trained.
        peers: that it met, and itself.
        inner_steps: that it made while the log looked on.
        seconds: that they took.
        last_step: in its weights at the end.
        exchange_seconds: of each exchange that was done, the shortest first.
        bytes_in: of all of them.
        bytes_out: likewise.
        skips: outer steps without a mix.
    """

    device: str
    peers: int
    inner_steps: int
    seconds: float
    last_step: int
    exchange_seconds: tuple[float, ...]
    bytes_in: int
    bytes_out: int
    skips: int

    @property
    def inner_step_seconds(self) -> float:
        """Seconds of one inner step, exchanges and all."""
        return self.seconds / self.inner_steps

    @property
    def exchanges(self) -> int:
        """Exchanges that were done."""
        return len(self.exchange_seconds)

    @property
    def median_exchange_seconds(self) -> float | None:
        """Seconds of an exchange, or None where there was none."""
        return median(self.exchange_seconds) if self.exchange_seconds else None


def measure(events: Iterable[AnyEvent]) -> Measured | None:
    """Return what the events of one home say, the oldest first, or None where no step was timed.

    Only time between two reports of one trainer's life counts: not what lies between its death and its
    return.
    """
    log = list(events)
    steps, seconds = _timed(log, (ShareReady, Checkpointed))
    if not steps:
        steps, seconds = _timed(log, (ShareReady, Checkpointed, Stopped))
    if not steps or not seconds:
        return None
    done = [event for event in log if isinstance(event, ExchangeDone)]
    return Measured(
        device=next((event.device for event in reversed(log) if isinstance(event, TrainerStarted)), ""),
        peers=1 + len({event.peer for event in log if isinstance(event, PeerSeen)}),
        inner_steps=steps,
        seconds=seconds,
        last_step=max((step for event in log if (step := _step(event)) is not None), default=0),
        exchange_seconds=tuple(sorted(event.seconds for event in done)),
        bytes_in=sum(event.bytes_in for event in done),
        bytes_out=sum(event.bytes_out for event in done),
        skips=sum(isinstance(event, Skipped) for event in log),
    )


def _timed(log: list[AnyEvent], reports: tuple[type, ...]) -> tuple[int, float]:
    steps, seconds = 0, 0.0
    last: tuple[int, float] | None = None
    for event in log:
        if isinstance(event, TrainerStarted | TrainerDied):
            # Where a later report is all there is, the start is where it begins.
            starts = isinstance(event, TrainerStarted) and Stopped in reports
            last = (_step(event) or 0, event.time) if starts else None
        elif isinstance(event, reports) and (step := _step(event)) is not None:
            if last is not None and step >= last[0]:
                steps += step - last[0]
                seconds += event.time - last[1]
            last = (step, event.time)
    return steps, seconds


def _step(event: AnyEvent) -> int | None:
    if isinstance(event, ShareReady | Checkpointed | Stopped | TrainerStarted):
        return event.inner_step
    return None
