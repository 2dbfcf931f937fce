"""The governor of a running daemon: looks at limits and sensors every few seconds, and pauses and resumes."""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import trio

from peer.daemon import disk
from peer.daemon.limits_file import WatchedLimits
from peer.daemon.pausing import Pausing
from peer.daemon.room import Room
from peer.daemon.settings import Settings, recall
from peer.daemon.traffic import Traffic
from peer.daemon.trained_on import recalled, remember_device
from peer.daemon.watching import Watching
from peer.errors import LimitsError
from peer.governor.decide import wanted
from peer.governor.holding import Holding
from peer.governor.limits import Limits, in_words, taken_back
from peer.governor.readings import HomeSize, MonthUse, Readings, merge
from peer.governor.sensors.base import Missing, Sensor
from peer.governor.sensors.find import BY_GPU, Device, find
from peer.governor.sensors.processes import own_memory
from peer.paths import option_for
from peer.plan.shape import trainer_memory
from peer.swarm.line import Line
from peer.telemetry import limit_events as events
from peer.telemetry.log import Log
from peer.telemetry.statistics import GovernorStatistics
from protocol import trainer as ipc
from protocol.control import Month
from protocol.manifest import Manifest

PERIOD = 5.0
"""Seconds between two looks."""

STEP = 128 << 20
"""Bytes up to whose multiple the daemon's own memory is rounded."""

OF_DEVICE = ("pause_for_others", *BY_GPU)
"""Limits that the device's sensors watch, or that may name GPUs which it is not."""


class Governor:
    """Pauses a peer by the limits in its home's `limits.toml`, which may change at any time.

    Args:
        home: the peer's folder.
        settings: what `peer start` was told.
        manifest: of the run.
        pausing: takes the pauses.
        line: takes the rates.
        moved: gives the bytes that have passed since the daemon began, both ways together.
        log: is told of changes.

    Raises:
        LimitsError: `limits.toml` is wrong.
    """

    def __init__(
        self,
        home: Path,
        settings: Settings,
        manifest: Manifest,
        pausing: Pausing,
        line: Line,
        moved: Callable[[], int],
        log: Log,
    ) -> None:
        self._home = home
        self._settings = settings
        self._manifest = manifest
        self._pausing = pausing
        self._line = line
        self._moved = moved
        self._log = log
        self._file = WatchedLimits(home)
        self._watching = Watching(self._nothing_watches)
        self._holding = Holding()
        self._traffic = Traffic(home, _now().date())
        self._month: MonthUse = self._traffic.use(_now().date())
        self._home_size: HomeSize | None = None
        self._unwatched: dict[str, str] = {}
        self._device = recalled(recall(home), settings.device)
        self._confirmed = False
        self._settled = False
        self._fresh = True
        self._hurry = trio.Event()
        self.looked = trio.Event()
        """Set once the limits were looked at for the first time: before that nothing should begin."""
        self._apply()

    @property
    def limits(self) -> Limits:
        """What is in force: the file's, and the rates that `peer start` was told where those are lower."""
        file, told = self._file.now, self._settings
        upload, download = min(file.upload, told.upload_limit), min(file.download, told.download_limit)
        return replace(file, upload=upload, download=download)

    @property
    def for_trainer(self) -> float | None:
        """Bytes of the machine's memory that are the trainer's part of the limit: all but the daemon's."""
        most = self.limits.memory
        # In whole steps, as the home remembers a micro-batch for just this figure.
        return None if most is None else max(most - -(-own_memory() // STEP) * STEP, 0.0)

    @property
    def unwatched(self) -> tuple[str, ...]:
        """The limits that nothing watches, with the reason."""
        return tuple(f"{key}: {reason}" for key, reason in self._unwatched.items())

    @property
    def month(self) -> Month:
        """The traffic of this month."""
        return Month(name=self._month.month, used=self._month.used, limit=self.limits.traffic)

    async def run(self) -> None:
        """Look every few seconds until cancelled.

        Raises:
            LimitsError: nothing on this machine watches a limit that the person has set.
        """
        try:
            while True:
                self._read_limits()
                # The trainer may tell of the device during a look, which then is of what was watched before.
                confirmed = self._confirmed
                await self._look()
                self.looked.set()
                self._settled = self._settled or confirmed
                with trio.move_on_after(PERIOD):
                    await self._hurry.wait()
                self._hurry = trio.Event()
        finally:
            self._traffic.note(self._moved(), _now().date())
            self._traffic.save(trio.current_time())

    def heard(self, message: ipc.FromTrainer) -> None:
        """Take in a message of the trainer: it tells which device it is on."""
        if isinstance(message, ipc.Ready) and not self._confirmed:
            self._confirmed = True
            self._device = Device.of(message.device, message.gpus)
            remember_device(self._home, self._settings.device, self._device)
            self._watching.forget(OF_DEVICE)
            self._apply()
            self._hurry.set()

    def _read_limits(self) -> None:
        before = self._file.now
        try:
            changed = self._file.changed()
        except LimitsError as error:
            self._log(events.LimitsRefused(reason=str(error)))
            return
        if changed:
            self._log(events.LimitsChanged(limits=in_words(self.limits)))
            # One that has named other GPUs may name ours now.
            now = self._file.now
            self._watching.forget([key for key in OF_DEVICE if getattr(before, key) != getattr(now, key)])
            self._apply()

    def _apply(self) -> None:
        """Put the limits in force."""
        limits = self.limits
        self._line.allow(limits.upload, limits.download)
        found = find(limits, self._device)
        if limits.disk is not None:
            room = Room(self._home, limits.disk, disk.checkpoint(self._manifest))
            found.append(Sensor("disk", "the size of the home", room))
        self._watching.watch(found)
        gone = self._watching.left_alone
        self._unwatched = {key: why for key, why in self._unwatched.items() if key in gone}
        self._fresh = True

    async def _look(self) -> None:
        now, at = _now(), trio.current_time()
        fresh, self._fresh = self._fresh, False
        readings = merge(await self._watching.read(), self._reckoned(now))
        if self._traffic.due(at):
            await trio.to_thread.run_sync(self._traffic.save, at)
        self._home_size = readings.home
        reasons = wanted(readings, self.limits, now, self._holding.held)
        pauses = self._holding.update(reasons, at=at, wall=time.time(), at_once=fresh)
        self._pausing.govern(pauses)

    def _reckoned(self, now: datetime) -> Readings:
        """Return what needs no sensor."""
        self._month = self._traffic.note(self._moved(), now.date())
        needed = None
        if "cpu" in (self._device.kind, Device.of(self._settings.device).kind):
            needed = trainer_memory(self._manifest) + own_memory()
        return Readings(month=self._month, memory_needed=needed)

    def _nothing_watches(self, missing: Missing) -> None:
        if self._unwatched.get(missing.key) != missing.reason:
            self._unwatched[missing.key] = missing.reason
            self._log(events.Unwatched(limit=missing.key, reason=missing.reason))
        of_device = missing.key in OF_DEVICE
        starting = self._confirmed and not self._settled if of_device else not self.looked.is_set()
        if starting and missing.key in self._file.given:
            raise LimitsError(
                f"{missing.key} cannot be kept: {missing.reason}",
                f"Take it back: peer limits{option_for(self._home)} {taken_back(missing.key)}",
            )

    def statistics(self) -> GovernorStatistics:
        """Tell what it keeps an eye on, at the last look."""
        watching = self._watching.statistics()
        return GovernorStatistics(
            unwatched=len(self._unwatched),
            month_bytes=self._month.used,
            month_limit=self.limits.traffic,
            home_bytes=self._home_size.taken if self._home_size is not None else None,
            failed_looks=watching.failed,
            sensor_threads=watching.threads,
            month_unsaved=self._traffic.failures,
        )


def _now() -> datetime:
    return datetime.now().astimezone()
