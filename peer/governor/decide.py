"""What readings mean under given limits: why to pause, or nothing. Pure: no clock, no sensor, no memory."""

from collections.abc import Collection, Iterator
from datetime import datetime

from peer.governor.limits import Limits, span_in_words
from peer.governor.per_gpu import PerGpu
from peer.governor.readings import GpuUsers, Measured, MonthUse, Readings
from peer.telemetry.format import format_bytes
from protocol.control import PauseKind

BUSY = 0.10
"""Share of the GPU's time from which a process uses it: the windows of a desktop take a few hundredths."""

STILL_BUSY = 0.03
"""Below it, a process that we made room for uses it no more. What waits for a person takes little."""

COOLER = 5.0
"""Degrees below the limit at which a device that was too hot is cool enough."""

IN_TOUCH = 550.0
"""Bytes a second, both ways together, that a paused peer takes to stay in touch with two others: 62 kB in 120
seconds were seen. Half of a month's traffic is kept for it at the most."""

SLACK, MOST_SLACK = 0.02, 100e6
"""Of a month's traffic, and in bytes: what staying in touch may turn out to take less."""


def wanted(
    readings: Readings, limits: Limits, now: datetime, held: Collection[PauseKind]
) -> dict[PauseKind, str]:
    """Return the reason of each kind for which to pause, the one to tell first first.

    Args:
        readings: what the sensors say now. What they do not tell never pauses.
        limits: what the person asked for.
        now: local time.
        held: kinds for which it is paused already: they need a little more to go away than to come.
    """
    return dict(_reasons(readings, limits, now, held))


def _reasons(
    readings: Readings, limits: Limits, now: datetime, held: Collection[PauseKind]
) -> Iterator[tuple[PauseKind, str]]:
    if limits.hours is not None and not limits.hours.hold(now):
        yield "hours", f"outside the hours {limits.hours.text}; next {limits.hours.opening(now)}"
    if limits.pause_on_battery and readings.on_battery:
        yield "battery", "on battery"
    if limits.pause_for_others and (user := _user(readings.gpu_users, still="gpu" in held)):
        yield "gpu", user
    if limits.pause_at_keyboard is not None and _below(readings.idle, limits.pause_at_keyboard):
        span = span_in_words(limits.pause_at_keyboard)
        yield "keyboard", f"a person is at the keyboard; goes on {span} after the last key"
    spare = COOLER if "temperature" in held else 0.0
    if (over := _above(readings.temperature, limits.max_temperature, spare)) is not None:
        hot, most = over
        yield "temperature", f"{hot.what} is at {hot.value:.0f} °C, over the limit of {most} °C"
    if (over := _above(readings.power, limits.max_power)) is not None:
        drawn, most = over
        yield "power", f"{drawn.what} draws {drawn.value:.0f} W, over the limit of {most} W"
    yield from _caps(readings, limits)
    yield from _used_up(readings.month, limits.traffic, still="data" in held)


def _user(users: GpuUsers | None, *, still: bool) -> str | None:
    """Name the process that has used the GPU for the longest."""
    least = STILL_BUSY if still else BUSY
    busy = [user for user in users.others if user.share >= least] if users is not None else []
    if users is None or not busy:
        return None
    first = min(busy, key=lambda user: user.pid)
    return f"{users.gpu} is used by {first.name} (pid {first.pid})"


def _caps(readings: Readings, limits: Limits) -> Iterator[tuple[PauseKind, str]]:
    memory = max((each for each in (readings.memory, readings.memory_needed) if each is not None), default=0)
    if _below(limits.memory, memory):
        told, most = format_bytes(memory), format_bytes(limits.memory or 0)
        # A pause frees little of it, so somebody has to do something.
        words = f"the peer takes {told} of memory, over the limit of {most}"
        yield "memory", f"{words}: raise it with `peer limits --memory`, or start with a smaller --batch"
    home = readings.home
    if home is not None and _below(limits.disk, home.taken + home.next_checkpoint):
        told, most = format_bytes(home.taken + home.next_checkpoint), format_bytes(limits.disk or 0)
        yield "disk", f"the home and its next checkpoint take {told}, over the limit of {most}"


def _used_up(month: MonthUse | None, limit: float | None, *, still: bool) -> Iterator[tuple[PauseKind, str]]:
    """Say so where a month has no more left than staying in touch with the others takes until its end."""
    if month is None or limit is None:
        return
    least = limit - min(IN_TOUCH * month.left, limit / 2)
    if month.used >= (least - min(SLACK * limit, MOST_SLACK) if still else least):
        words = f"the {format_bytes(limit)} of traffic for {month.month} are used, but for what it takes"
        yield "data", f"{words} to stay in touch; again on {month.until}"


def _above(
    told: tuple[Measured, ...] | None, limit: PerGpu | None, spare: float = 0.0
) -> tuple[Measured, float] | None:
    """Return the device that is the farthest above its limit, or less than `spare` below, and that limit."""
    known = [(each, limit.of(each.gpu)) for each in told or ()] if limit is not None else []
    over = [(each, most) for each, most in known if most is not None and each.value > most - spare]
    return max(over, key=lambda found: found[0].value - found[1], default=None)


def _below(value: float | None, other: float | None) -> bool:
    """Whether both are known, and `value` is the smaller."""
    return value is not None and other is not None and value < other
