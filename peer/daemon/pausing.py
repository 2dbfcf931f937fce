"""Why a peer makes no inner steps just now, and what follows from it for its trainer and its partners."""

import time
from contextlib import suppress

import msgspec
import trio

from peer.daemon.home import Home
from peer.daemon.settings import recall, remember
from peer.daemon.trainer_link import TrainerLink
from peer.errors import HomeError
from peer.swarm.learner import LearnerGoneError
from peer.swarm.resting import PAUSED, STARVED
from peer.swarm.swarm import Swarm
from peer.telemetry import events
from peer.telemetry.log import Log
from peer.telemetry.statistics import PausingStatistics
from protocol import trainer as ipc
from protocol.control import Pause

LONG_WAIT = 60.0
"""Seconds without data after which the others have gone on without us; a shorter wait is no absence."""

BY_HAND = "by hand"
"""The reason of a pause for which none was given."""


class Pausing:
    """Holds a person's pause, those of the governor, and a trainer's that has no data; any one is enough.

    A person's outlives the daemon: who said `peer pause` says `peer resume`. A trainer that has yet to begin
    waits, and takes no device at all; one that has begun keeps its state and makes no steps.
    """

    def __init__(self, home: Home, link: TrainerLink, swarm: Swarm, log: Log) -> None:
        self._home = home
        self._link = link
        self._swarm = swarm
        self._log = log
        self._hand = recall(home.path).paused
        self._governor: tuple[Pause, ...] = ()
        self._starved: tuple[Pause, ...] = ()
        """Of a trainer that waits for data: it makes no steps, and is not told to. One at the most."""
        self._changed = trio.Event()
        self._trainer_told = False
        self._since: float | None = None
        self._logged: Pause | None = None
        self._stands_at: int | None = None
        self._count, self._seconds = 0, 0.0
        self._apply()

    @property
    def all(self) -> tuple[Pause, ...]:
        """The pauses in force, a person's before the governor's; none where the peer trains."""
        return (*self._wanted, *self._starved)

    @property
    def now(self) -> Pause | None:
        """The first of them: the one that is told."""
        return next(iter(self.all), None)

    @property
    def _wanted(self) -> tuple[Pause, ...]:
        return (self._hand, *self._governor) if self._hand is not None else self._governor

    def by_hand(self, reason: str) -> None:
        """Pause until `resume`, over restarts too."""
        since = self._hand.since if self._hand is not None else time.time()
        self._hand = Pause(kind="hand", reason=reason or BY_HAND, since=since)
        self._keep()

    def resume(self) -> None:
        """End a person's pause. The governor may still want its own."""
        self._hand = None
        self._keep()

    def govern(self, pauses: tuple[Pause, ...]) -> None:
        """Take what the governor wants now: a pause for each of its reasons."""
        if pauses != self._governor:
            self._governor = pauses
            self._swarm.spare(sparing=any(pause.kind == "data" for pause in pauses))
            self._apply()

    def _keep(self) -> None:
        # A disk that refuses costs the memory of it, not the pause.
        with suppress(HomeError):
            path = self._home.path
            remember(path, msgspec.structs.replace(recall(path), paused=self._hand))
        self._apply()

    def _apply(self) -> None:
        if self.now is not None and self._since is None:
            self._since, self._count = trio.current_time(), self._count + 1
        elif self.now is None and self._since is not None:
            self._seconds += trio.current_time() - self._since
            self._since = None
            if self._logged is not None:
                self._log(
                    events.Resumed(reason=self._logged.reason, seconds=time.time() - self._logged.since)
                )
                self._logged = None
        elif self._logged is not None:
            self._say()
        self._rest()
        changed, self._changed = self._changed, trio.Event()
        changed.set()

    def _rest(self) -> None:
        """Share nothing meanwhile. Only one who was told to stop has been away: data come late every day."""
        resting = self._swarm.resting
        if self._wanted:
            resting.begin(PAUSED)
        elif PAUSED in resting.reasons:
            self._swarm.behind.stood_still()
            resting.end(PAUSED)
        if self._starved:
            resting.begin(STARVED)
        else:
            resting.end(STARVED)

    # ---- the trainer

    async def wait_over(self) -> bool:
        """Wait until nothing keeps the trainer from beginning; return whether anything did."""
        waited = bool(self._wanted)
        while self._wanted:
            self._stands_at = None
            self._say()
            await self._changed.wait()
        return waited

    async def run(self) -> None:
        """Tell the trainer, until cancelled."""
        while True:
            wanted, changed = bool(self._wanted), self._changed
            if wanted != self._trainer_told:
                # One that has not begun is told once it has.
                with suppress(LearnerGoneError):
                    await self._link.tell(ipc.Pause() if wanted else ipc.Resume())
                    self._trainer_told = wanted
            await changed.wait()

    def heard(self, message: ipc.FromTrainer) -> None:
        """Take in a message of the trainer."""
        if isinstance(message, ipc.Ready):
            self._trainer_told, self._starved = False, ()
            self._apply()
        elif isinstance(message, ipc.Waiting):
            self._wait_for_data(message)
        elif isinstance(message, ipc.Paused):
            self._stands_at = message.inner_step
            self._say()

    def _wait_for_data(self, message: ipc.Waiting) -> None:
        since = self._starved[0].since if self._starved else time.time()
        self._starved = ()
        if message.reason is not None:
            self._starved = (Pause(kind="stream", reason=f"waiting for data: {message.reason}", since=since),)
            self._stands_at = message.inner_step
        elif time.time() - since >= LONG_WAIT:
            self._swarm.behind.stood_still()
        self._apply()
        self._say()

    def _say(self) -> None:
        """Tell of the pause once no step is being made, and of another reason for it."""
        pause = self.now
        if pause is not None and (self._logged is None or self._logged.reason != pause.reason):
            self._log(events.Paused(kind=pause.kind, reason=pause.reason, inner_step=self._stands_at))
            self._logged = pause

    def statistics(self) -> PausingStatistics:
        """Pauses since the start, and the one that lasts."""
        lasting = trio.current_time() - self._since if self._since is not None else 0.0
        kinds = tuple(pause.kind for pause in self.all)
        return PausingStatistics(kinds, self._count, self._seconds + lasting)
