"""What one peer's daemon knows of itself at one moment: the source of its metrics."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from peer.swarm.catching_up import CatchUpStatistics
from peer.swarm.newcomer import JoiningStatistics
from peer.swarm.refusals import Refusal
from peer.swarm.swarm import SwarmStatistics
from peer.telemetry.histogram import HistogramStatistics
from protocol.control import PauseKind

State = Literal[
    "starting",
    "joining",
    "training",
    "catching up",
    "paused",
    "restarting trainer",
    "finished",
    "finishing",
    "stopping",
]


@dataclass(frozen=True, slots=True)
class PeerLabels:
    """What stays the same for a daemon's life."""

    peer_id: str
    run_id: str
    preset: str
    codec: str
    version: str


@dataclass(frozen=True, slots=True)
class TrainingStatistics:
    """What the trainer said last."""

    inner_step: int
    outer_step: int
    tokens: int
    loss: float
    """Training loss, nats a token."""
    tokens_per_second: float
    learning_rate: float
    ranks: int = 1
    micro_batch: int | None = None
    """None before the first step."""


@dataclass(frozen=True, slots=True)
class DistanceStatistics:
    """What the last mix found: how far the partner was from us."""

    absolute: float
    """Root mean square of theirs minus ours."""
    relative: float
    """The same over the root mean square of ours."""


@dataclass(frozen=True, slots=True)
class DiskStatistics:
    """The disk on which a home lies, in bytes."""

    free: int
    needed: int
    """What must stay free for checkpoints to be written."""


@dataclass(frozen=True, slots=True)
class CheckpointStatistics:
    """Checkpoints since the start."""

    written: int
    failed: int


@dataclass(frozen=True, slots=True)
class PausingStatistics:
    """Pauses since the daemon started."""

    kinds: tuple[PauseKind, ...] = ()
    """What the pauses that last come from; none where the peer trains."""
    count: int = 0
    seconds: float = 0.0
    """Paused in all, the pause that lasts included."""


@dataclass(frozen=True, slots=True)
class GovernorStatistics:
    """What the governor keeps an eye on."""

    unwatched: int = 0
    """Limits that nothing on this machine watches."""
    month_bytes: int = 0
    """Moved in this calendar month, both ways together."""
    month_limit: float | None = None
    home_bytes: int | None = None
    """What the home takes; None while no limit asks for it."""
    failed_looks: int = 0
    """Looks at a sensor that failed, or had no answer in time."""
    sensor_threads: int = 0
    """Threads that read sensors now."""
    month_unsaved: int = 0
    """Times that the disk did not take the month's traffic."""


@dataclass(frozen=True, slots=True)
class PeerStatistics:
    """A snapshot of the whole daemon. None stands for what is not known yet."""

    labels: PeerLabels
    state: State
    uptime_seconds: float
    trainer_restarts: int
    exchange_seconds: HistogramStatistics
    training: TrainingStatistics | None = None
    distance: DistanceStatistics | None = None
    swarm: SwarmStatistics | None = None
    joining: JoiningStatistics | None = None
    catching_up: CatchUpStatistics = field(default_factory=CatchUpStatistics)
    disk: DiskStatistics | None = None
    checkpoints: CheckpointStatistics = CheckpointStatistics(written=0, failed=0)
    refusals: Mapping[Refusal, int] = field(default_factory=dict)
    """Shares that were not fit to mix, by what was wrong with them (`peer.swarm.refusals`)."""
    pausing: PausingStatistics = PausingStatistics()
    governor: GovernorStatistics = GovernorStatistics()
