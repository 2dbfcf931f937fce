"""Apple's GPU, through `ioreg`: for how long each process has used it, as Activity Monitor shows it."""

import re
import time
from collections import Counter
from collections.abc import Callable

from peer.governor.readings import GpuUser, GpuUsers, Readings
from peer.governor.sensors.base import SensorGoneError
from peer.governor.sensors.commands import Command
from peer.governor.sensors.processes import is_ours, name_of
from peer.governor.sensors.shares import Shares

REGISTRY = ("ioreg", "-r", "-l", "-w", "0", "-c", "IOAccelerator")
"""Of the GPU, and of a client of its driver for each process. Without -w 0 it cuts lines."""

GPU = "Apple's GPU"

_CLIENT = re.compile(r'"IOUserClientCreator" = "pid (\d+), ([^"\n]*)"')
_USED = re.compile(r'"accumulatedGPUTime" ?= ?(\d+)')
"""Nanoseconds; one for each of Metal, OpenGL and so on."""


class Users:
    """Reads which processes, none of them ours, use Apple's GPU, by the share of its time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._registry = Command(*REGISTRY)
        self._shares = Shares[int](clock)

    def __call__(self) -> Readings:
        """Look once. The first look sees nobody: shares need two.

        Raises:
            SensorGoneError: macOS does not tell.
            OSError: it did not this time.
        """
        said = self._registry.ask()
        if said is None:
            raise OSError("ioreg does not answer")
        if not _USED.search(said):
            raise SensorGoneError("ioreg tells no accumulatedGPUTime")
        used, names = clients(said)
        others = [
            GpuUser(pid, name_of(pid) or names[pid], share)
            for pid, share in self._shares.of(used).items()
            if not is_ours(pid)
        ]
        return Readings(gpu_users=GpuUsers(GPU, tuple(others)))


def clients(said: str) -> tuple[dict[int, int], dict[int, str]]:
    """Return for how long each process has used the GPU, and what the driver calls it."""
    used, names = Counter[int](), dict[int, str]()
    for entry in said.split("+-o "):
        if (client := _CLIENT.search(entry)) is not None:
            pid = int(client[1])
            names[pid] = client[2]
            used[pid] += sum(int(each) for each in _USED.findall(entry))
    return dict(used), names
