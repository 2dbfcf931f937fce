"""The machine itself: its battery, the heat of its processor."""

import sys
from pathlib import Path

import psutil

from peer.governor.readings import Measured, Readings
from peer.governor.sensors.base import SensorGoneError

SUPPLIES = Path("/sys/class/power_supply")

CHIPS = ("coretemp", "k10temp", "zenpower", "cpu_thermal")
"""Drivers of the sensors in processors: Intel's, AMD's, and those of small boards."""


def battery(supplies: Path = SUPPLIES, platform: str = sys.platform) -> Readings:
    """Read whether the machine runs on battery. One without any does not.

    On Linux from sysfs itself: psutil takes a wireless mouse's battery for the machine's.
    """
    if platform == "linux":
        return Readings(on_battery=_discharging(supplies))
    found = psutil.sensors_battery()
    return Readings(on_battery=found is not None and found.power_plugged is False)


def _discharging(supplies: Path) -> bool:
    known = [_supply(each) for each in supplies.glob("*")]
    ours = [each for each in known if each.get("scope", "System") != "Device"]
    if any(each.get("type") not in ("Battery", "UPS") and each.get("online") == "1" for each in ours):
        return False
    return any(
        each.get("type") in ("Battery", "UPS") and each.get("status") == "Discharging" for each in ours
    )


def _supply(folder: Path) -> dict[str, str]:
    found = {}
    for name in ("type", "scope", "online", "status"):
        try:
            found[name] = (folder / name).read_text().strip()
        except OSError:
            continue
    return found


def processor_temperature() -> Readings:
    """Read how hot the processor is, where it is hottest.

    Raises:
        SensorGoneError: nothing tells.
    """
    tell = getattr(psutil, "sensors_temperatures", None)
    known = tell() if tell is not None else {}
    chip = next((known[name] for name in CHIPS if known.get(name)), None)
    if chip is None:
        raise SensorGoneError("no sensor of it is known here")
    return Readings(temperature=(Measured("the processor", max(each.current for each in chip)),))
