"""Which sensors a set of limits needs on this machine, and which of the limits nothing here watches."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Self

from peer.governor.limits import KEYS, Limits
from peer.governor.per_gpu import PerGpu
from peer.governor.readings import Readings
from peer.governor.sensors import amd, apple, machine, nvidia
from peer.governor.sensors.base import Missing, Sensor
from peer.governor.sensors.keyboard import keyboard
from peer.governor.sensors.processes import memory_of
from protocol.gpu import Gpu


@dataclass(frozen=True, slots=True)
class Device:
    """What a trainer trains on.

    Attributes:
        kind: `cpu`, `cuda` (of NVIDIA or AMD) or `mps`; empty while it is not known.
        gpus: those that it uses, where it can be told which they are.
    """

    kind: str = ""
    gpus: tuple[Gpu, ...] = ()

    @classmethod
    def of(cls, names: str, gpus: tuple[Gpu, ...] = ()) -> Self:
        """Return what `--device` or a trainer calls so; several have commas between them, and are alike."""
        return cls(names.partition(",")[0].partition(":")[0], gpus)


Found = Sensor | Missing

BY_GPU = tuple(key for key, about in KEYS.items() if about.by_gpu)
"""Limits that may name GPUs."""


def find(
    limits: Limits,
    device: Device,
    *,
    platform: str = sys.platform,
    environment: Mapping[str, str] = os.environ,
) -> list[Found]:
    """Return a sensor, or why there is none, for each limit that needs one.

    Args:
        limits: what the person asked for.
        device: what is trained on. While it is not known, what depends on it is left out.
        platform: as `sys.platform` has it.
        environment: of this process.
    """
    found: list[Found] = []
    if limits.pause_on_battery:
        found.append(Sensor("pause_on_battery", "the battery", partial(machine.battery, platform=platform)))
    if limits.pause_at_keyboard is not None:
        found.append(Sensor("pause_at_keyboard", "the keyboard", keyboard(platform, environment)))
    if limits.memory is not None:
        found.append(Sensor("memory", "the memory of daemon and trainer", _memory))
    wanted = {
        "pause_for_others": limits.pause_for_others,
        "max_temperature": limits.max_temperature is not None,
        "max_power": limits.max_power is not None,
    }
    if device.kind:
        astray = [key for key in BY_GPU if _astray(getattr(limits, key), device)]
        found += [Missing(key, "it names no GPU that this peer trains on") for key in astray]
        found += _of_device(device, frozenset(key for key, asked in wanted.items() if asked) - set(astray))
    return found


def _astray(limit: PerGpu | None, device: Device) -> bool:
    """Whether a limit names GPUs, and none that is trained on."""
    ours = {gpu.index for gpu in device.gpus}
    if device.kind == "mps":
        ours = {0}  # there is but one, and it has no number
    elif device.kind == "cuda" and not ours:
        return False  # nobody says which they are
    return limit is not None and bool(limit.named) and ours.isdisjoint(gpu for gpu, _ in limit.named)


def _memory() -> Readings:
    # The trainer is what the daemon has started, and so are its ranks.
    return Readings(memory=memory_of(os.getpid()))


def _of_device(device: Device, wanted: frozenset[str]) -> Iterator[Found]:
    readers: dict[str, Callable[[], Readings]] = {}
    if device.kind == "cpu":
        readers["max_temperature"] = machine.processor_temperature
        wanted -= {"pause_for_others"}
    elif device.kind == "mps":
        readers["pause_for_others"] = apple.Users()
    elif device.gpus and device.gpus[0].vendor == "nvidia":
        readers = _of_nvidia(device.gpus)
    elif device.gpus and device.gpus[0].address:
        readers = _of_amd(device.gpus)
    for key in sorted(wanted):
        what = f"{_WHAT[key]} of {_named(device)}"
        if key in readers:
            yield Sensor(key, what, readers[key])
        else:
            yield Missing(key, f"nothing here tells {what}")


def _of_nvidia(gpus: tuple[Gpu, ...]) -> dict[str, Callable[[], Readings]]:
    library = nvidia.Nvml()
    return {
        "pause_for_others": nvidia.Users(library, gpus),
        "max_temperature": nvidia.Temperature(library, gpus),
        "max_power": nvidia.Power(library, gpus),
    }


def _of_amd(gpus: tuple[Gpu, ...]) -> dict[str, Callable[[], Readings]]:
    return {
        "pause_for_others": amd.Users(gpus),
        "max_temperature": partial(amd.temperature, gpus),
        "max_power": partial(amd.power, gpus),
    }


_WHAT = {
    "pause_for_others": "the other users",
    "max_temperature": "the temperature",
    "max_power": "the power draw",
}


def _named(device: Device) -> str:
    if device.gpus:
        return " and ".join(f"GPU {gpu.index}" for gpu in device.gpus)
    return {"cpu": "the processor", "mps": apple.GPU}.get(device.kind, "the GPU")
