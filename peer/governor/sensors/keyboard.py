"""Since when nobody has touched this machine's keyboard or mouse."""

import os
import re
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from peer.governor.readings import Readings
from peer.governor.sensors.base import SensorGoneError
from peer.governor.sensors.commands import Command
from peer.governor.sensors.desktop import Desktop

DEVICES = Path("/dev")

_TERMINALS = re.compile(r"pts/\d+|tty[1-9]\d?")


class LinuxKeyboard:
    """Reads the shortest of what desktops and terminals tell. SSH is a terminal too."""

    def __init__(
        self,
        desktop: Desktop,
        devices: Path = DEVICES,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._desktop = desktop
        self._devices = devices
        self._now = now

    def __call__(self) -> Readings:
        """Look once.

        Raises:
            SensorGoneError: there is neither a desktop nor a terminal.
        """
        told = [each for each in (self._desktop.idle(), self._terminals()) if each is not None]
        if not told:
            raise SensorGoneError("there is neither a desktop nor a terminal that tells")
        return Readings(idle=min(told))

    def _terminals(self) -> float | None:
        """Return seconds since something was typed at any terminal: the kernel notes it to 8 seconds."""
        typed = []
        for file in (*self._devices.glob("tty*"), *self._devices.glob("pts/*")):
            if _TERMINALS.fullmatch(str(file.relative_to(self._devices))):
                with suppress(OSError):
                    typed.append(file.stat().st_atime)
        return max(self._now() - max(typed), 0.0) if typed else None


class MacKeyboard:
    """Reads what macOS counts since the last event of any input device."""

    def __init__(self) -> None:
        self._registry = Command("ioreg", "-c", "IOHIDSystem", "-d", "4")

    def __call__(self) -> Readings:
        """Look once.

        Raises:
            SensorGoneError: macOS does not tell.
            OSError: it did not this time.
        """
        said = self._registry.ask()
        if said is None:
            raise OSError("ioreg does not answer")
        match = re.search(r'"HIDIdleTime" = (\d+)', said)
        if match is None:
            raise SensorGoneError("ioreg tells no HIDIdleTime")
        return Readings(idle=int(match[1]) / 1e9)


def keyboard(
    platform: str = sys.platform, environment: Mapping[str, str] = os.environ
) -> Callable[[], Readings]:
    """Return what reads it on this system."""
    return MacKeyboard() if platform == "darwin" else LinuxKeyboard(Desktop(environment))
