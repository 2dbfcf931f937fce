"""What a person lets a peer use, and when it makes room for others."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from peer.errors import UsageError
from peer.governor.hours import Hours, parse_hours
from peer.governor.per_gpu import PerGpu, per_gpu
from peer.telemetry.format import format_bytes, format_seconds
from peer.units import duration, rate, size

NOTHING = PerGpu(None)

Value = str | int | float | bool
Given = Mapping[str, Value]
"""Limits as they stand in `limits.toml`: a key that is left out has its default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What is in force. None stands for no limit."""

    hours: Hours | None = None
    pause_for_others: bool = True
    pause_on_battery: bool = True
    pause_at_keyboard: float | None = None
    """Seconds for which nobody may have touched keyboard or mouse."""
    max_temperature: PerGpu | None = None
    """Degrees Celsius of the device."""
    max_power: PerGpu | None = None
    """Watts of the GPU."""
    upload: float = math.inf
    download: float = math.inf
    """Bytes of shares and states a second."""
    traffic: float | None = None
    """Bytes a calendar month, both ways together."""
    disk: float | None = None
    """Bytes of the home."""
    memory: float | None = None
    """Bytes of daemon and trainer in the machine's memory."""
    gpu_memory: PerGpu | None = None
    """Of the GPU's memory: a share where it is 1 or less, otherwise bytes."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key of `limits.toml`, which is also an option of `peer limits`.

    Attributes:
        meaning: in a few words.
        example: how it stands in the file.
        read: returns what a value means, or raises `UsageError`.
        by_gpu: how it is written where GPUs have limits of their own.
    """

    meaning: str
    example: str
    read: Callable[[Value], object]
    by_gpu: str = ""


def parse(given: Given) -> Limits:
    """Return what these values mean.

    Raises:
        UsageError: a key is not known, or a value of it is wrong; it names both.
    """
    return Limits(**{key: read_value(key, value) for key, value in given.items()})  # type: ignore[arg-type]


def read_value(key: str, value: Value) -> object:
    """Return what one value means.

    Raises:
        UsageError: as `parse`.
    """
    if key not in KEYS:
        close = get_close_matches(key.replace("-", "_"), KEYS, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise UsageError(f"there is no limit {key!r}{hint}", f"There are {', '.join(KEYS)}")
    try:
        return KEYS[key].read(value)
    except UsageError as error:
        raise UsageError(f"{key}: {error.message}", error.remedy) from error


def in_words(limits: Limits) -> tuple[str, ...]:
    """Say what is in force: when it pauses, and what it may use."""
    pauses, caps = pauses_in_words(limits), caps_in_words(limits)
    phrases = [f"pauses {', '.join(pauses)}" if pauses else "", f"at most {', '.join(caps)}" if caps else ""]
    return tuple(words for words in phrases if words)


def pauses_in_words(limits: Limits, *, gpu: bool | None = True) -> tuple[str, ...]:
    """Say when it pauses; of other users only where it trains on a GPU, which None leaves open."""
    others = "while others use the GPU" + (", if it trains on one" if gpu is None else "")
    idle = limits.pause_at_keyboard
    hot, thirsty = limits.max_temperature or NOTHING, limits.max_power or NOTHING
    phrases = {
        f"outside {limits.hours.text}" if limits.hours else "": limits.hours is not None,
        "on battery": limits.pause_on_battery,
        others: limits.pause_for_others and gpu is not False,
        f"for {span_in_words(idle or 0)} after a person was at the keyboard": idle is not None,
        f"above {hot.in_words(lambda value: f'{value} °C')}": limits.max_temperature is not None,
        f"above {thirsty.in_words(lambda value: f'{value} W')}": limits.max_power is not None,
    }
    return tuple(words for words, holds in phrases.items() if holds)


def caps_in_words(limits: Limits) -> tuple[str, ...]:
    """Say what it may use."""
    held = (limits.gpu_memory or NOTHING).in_words(share_in_words)
    phrases = {
        f"{_a_second(limits.upload)} up": limits.upload < math.inf,
        f"{_a_second(limits.download)} down": limits.download < math.inf,
        f"{format_bytes(limits.traffic or 0)} of traffic a month": limits.traffic is not None,
        f"{format_bytes(limits.disk or 0)} of disk": limits.disk is not None,
        f"{format_bytes(limits.memory or 0)} of memory": limits.memory is not None,
        f"{held} of the GPU's memory": limits.gpu_memory is not None,
    }
    return tuple(words for words, holds in phrases.items() if holds)


def share_in_words(share: float) -> str:
    """Write a share of memory, or bytes of it."""
    return f"{share:.0%}" if share <= 1 else format_bytes(share)


def taken_back(key: str) -> str:
    """Return the option of `peer limits` that takes a limit back."""
    option = key.replace("_", "-")
    return f"--no-{option}" if isinstance(getattr(Limits(), key), bool) else f"--{option} none"


def span_in_words(seconds: float) -> str:
    """Write whole minutes as people do: 5 min."""
    return format_seconds(seconds).removesuffix(" 0 s").removesuffix(" 0 min")


def _a_second(bytes_a_second: float) -> str:
    return f"{bytes_a_second * 8 / 1e6:g} Mbit/s"


# ---- values


def _hours(value: Value) -> Hours:
    try:
        return parse_hours(value if isinstance(value, str) else "")
    except ValueError as error:
        raise UsageError(
            f"{value!r} names no hours", 'Write them like "22:00-07:00" or "mon-fri 19:00-07:00, sat-sun"'
        ) from error


def _flag(value: Value) -> bool:
    if not isinstance(value, bool):
        raise UsageError(f"{value!r} is neither true nor false", "Write true or false")
    return value


def _number(unit: str, least: float, most: float) -> Callable[[Value], float]:
    form = re.compile(rf"(-?\d+(?:\.\d+)?) ?(?:{unit})?")

    def read(value: Value) -> float:
        match = form.fullmatch(str(value)) if not isinstance(value, bool) else None
        if match is None:
            raise UsageError(f"{value!r} is no number", f"Write one between {least} and {most}")
        found = float(match[1])
        if not least <= found <= most:
            raise UsageError(f"{value!r} is not between {least} and {most}", "Write a number between them")
        return int(found) if found.is_integer() else found

    return read


def _text(read: Callable[[str], float]) -> Callable[[Value], float]:
    return lambda value: read(value if isinstance(value, str) else repr(value))


def _share(value: Value) -> float:
    match = re.fullmatch(r"(\d{1,3}) ?%", str(value))
    if match is None:
        return _text(size)(value)
    if not 1 <= int(match[1]) <= 100:
        raise UsageError(f"{value!r} is not between 1% and 100%", "Write it like 80% or 12GB")
    return int(match[1]) / 100


KEYS: dict[str, Key] = {
    "hours": Key("train only then", '"22:00-07:00"', _hours),
    "pause_for_others": Key("pause while others use the GPU", "true", _flag),
    "pause_on_battery": Key("pause on battery", "true", _flag),
    "pause_at_keyboard": Key("pause so long after a person's last key", '"5min"', _text(duration)),
    "max_temperature": Key(
        "pause above it, in °C of the device", "80", per_gpu(_number("°?C", 20, 120)), "0=80,1=70"
    ),
    "max_power": Key(
        "pause above it, in watts of the GPU", "250", per_gpu(_number("W", 10, 10_000)), "0=250,1=200"
    ),
    "upload": Key("most to give others a second", '"10Mbit"', _text(rate)),
    "download": Key("most to fetch from others a second", '"50Mbit"', _text(rate)),
    "traffic": Key("most in a month, both ways; then pause", '"50GB"', _text(size)),
    "disk": Key("most for the home", '"20GB"', _text(size)),
    "memory": Key("most for the peer in RAM; else pause", '"16GB"', _text(size)),
    "gpu_memory": Key("most for the trainer on the GPU", '"80%"', per_gpu(_share), "0=80%,1=12GB"),
}
