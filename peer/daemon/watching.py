"""Reads sensors in threads, each with a limit to its time; what is not there is told once, and left alone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import trio

from peer.governor.readings import Readings, merge
from peer.governor.sensors.base import Missing, Sensor, SensorGoneError
from peer.governor.sensors.find import Found

PATIENCE = 10.0
"""Seconds for a sensor to answer. A driver that hangs keeps its thread for as long as it likes."""

TRIES = 3
"""Failed looks in a row after which a sensor is left alone."""

THREADS = 16
"""Sensors read at once; those that hang count too, so that they take no thread from anybody else."""


@dataclass(frozen=True, slots=True)
class WatchingStatistics:
    """What has become of the looks at sensors."""

    failed: int
    threads: int
    """Busy now: those of sensors that hang, and of any that is being read."""


class Watching:
    """Looks at all sensors at once.

    Args:
        gone: told, once for each, of a limit that nothing watches (any more): its key, and why.
    """

    def __init__(self, gone: Callable[[Missing], None]) -> None:
        self._gone = gone
        self._sensors: list[Sensor] = []
        self._failures: dict[str, int] = {}
        self._told: set[str] = set()
        self._threads = trio.CapacityLimiter(THREADS)
        self._failed = 0

    @property
    def keys(self) -> frozenset[str]:
        """The limits whose sensors are read."""
        return frozenset(each.serves for each in self._sensors)

    @property
    def left_alone(self) -> frozenset[str]:
        """The limits that were asked for and that nothing watches."""
        return frozenset(self._told)

    def watch(self, found: Sequence[Found]) -> None:
        """Look at these from now on. What is gone stays gone for as long as it is asked for."""
        keys = {each.key if isinstance(each, Missing) else each.serves for each in found}
        self._told &= keys
        self._failures = {key: count for key, count in self._failures.items() if key in keys}
        self._sensors = [each for each in found if isinstance(each, Sensor) and each.serves not in self._told]
        for each in found:
            if isinstance(each, Missing):
                self._leave(each)

    def forget(self, keys: Sequence[str]) -> None:
        """Try these again when they are watched next: the device is another."""
        self._told -= set(keys)

    async def read(self) -> Readings:
        """Return what they tell now."""
        told: dict[str, Readings] = {}

        async def look(sensor: Sensor) -> None:
            told[sensor.serves] = await self._read(sensor)

        async with trio.open_nursery() as nursery:
            for sensor in self._sensors:
                nursery.start_soon(look, sensor)
        return merge(*told.values())

    async def _read(self, sensor: Sensor) -> Readings:
        # What is only slow is no reason to say at once that nothing is there: a machine may be booting.
        reason, fleeting = f"{sensor.what} has not answered for {PATIENCE:g} s", True
        with trio.move_on_after(PATIENCE):
            try:
                found: Readings = await trio.to_thread.run_sync(  # the stubs that libp2p brings are old
                    sensor.read,
                    abandon_on_cancel=True,  # type: ignore[call-arg]
                    limiter=self._threads,
                )
            except SensorGoneError as error:
                reason, fleeting = f"nothing tells {sensor.what}: {error}", False
            except Exception as error:  # noqa: BLE001 - whatever a driver's library may raise
                reason = f"nothing tells {sensor.what}: {str(error) or type(error).__name__}"
            else:
                self._failures.pop(sensor.serves, None)
                return found
        self._failed += 1
        if any(each is sensor for each in self._sensors) and not (fleeting and self._may_fail(sensor.serves)):
            self._leave(Missing(sensor.serves, reason))
        return Readings()

    def _may_fail(self, key: str) -> bool:
        """Count a failed look; say whether there may be another."""
        count = self._failures[key] = self._failures.get(key, 0) + 1
        return count < TRIES

    def statistics(self) -> WatchingStatistics:
        """Tell what has become of the looks."""
        return WatchingStatistics(failed=self._failed, threads=int(self._threads.borrowed_tokens))

    def _leave(self, missing: Missing) -> None:
        self._sensors = [each for each in self._sensors if each.serves != missing.key]
        if missing.key not in self._told:
            self._told.add(missing.key)
            self._gone(missing)
