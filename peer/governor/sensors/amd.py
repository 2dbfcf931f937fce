"""GPUs of AMD, through sysfs and procfs: amdgpu tells there what it knows, with no library."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from peer.governor.readings import GpuUser, GpuUsers, Measured, Readings
from peer.governor.sensors.base import SensorGoneError
from peer.governor.sensors.processes import is_ours, name_of
from peer.governor.sensors.shares import Shares
from protocol.gpu import Gpu

ROOT = Path("/")

_ENGINE = re.compile(r"^drm-engine-(?!capacity-)[\w-]+:\s*(\d+) ns$", re.MULTILINE)
"""Nanoseconds that a client has used an engine (the kernel's gpu/drm-usage-stats)."""


def temperature(gpus: tuple[Gpu, ...], root: Path = ROOT) -> Readings:
    """Read how hot each is, at its edge.

    Raises:
        SensorGoneError: one does not tell.
    """
    return Readings(temperature=_each(gpus, root, ("temp1_input",), 1000))


def power(gpus: tuple[Gpu, ...], root: Path = ROOT) -> Readings:
    """Read what each draws.

    Raises:
        SensorGoneError: one does not tell.
    """
    return Readings(power=_each(gpus, root, ("power1_average", "power1_input"), 1_000_000))


def _each(gpus: tuple[Gpu, ...], root: Path, names: tuple[str, ...], unit: int) -> tuple[Measured, ...]:
    return tuple(Measured(f"GPU {gpu.index}", _hwmon(gpu, root, names) / unit, gpu.index) for gpu in gpus)


def _hwmon(gpu: Gpu, root: Path, names: tuple[str, ...]) -> int:
    device = root / "sys/bus/pci/devices" / gpu.address
    for name in names:
        for file in sorted(device.glob(f"hwmon/hwmon*/{name}")):
            with suppress(OSError, ValueError):
                return int(file.read_text())
    raise SensorGoneError(f"{device} has no {' or '.join(names)}")


class Users:
    """Reads which processes, none of them ours, use some GPUs.

    Graphics and Vulkan tell how long they have used an engine, per process. Compute through ROCm is listed by
    the kernel with the memory that it holds: holding some counts as using. Processes of other users can only
    be seen by root.
    """

    def __init__(
        self, gpus: tuple[Gpu, ...], root: Path = ROOT, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._gpus = gpus
        self._root = root
        self._shares = Shares[tuple[str, int]](clock)

    def __call__(self) -> Readings:
        """Look once. The first look sees ROCm alone: shares need two."""
        taken = self._shares.of(self._busy())
        told = [self._users(gpu, taken) for gpu in self._gpus]
        return Readings(gpu_users=max(told, key=lambda users: sum(user.share for user in users.others)))

    def _users(self, gpu: Gpu, taken: dict[tuple[str, int], float]) -> GpuUsers:
        shares = {pid: share for (address, pid), share in taken.items() if address == gpu.address}
        shares |= dict.fromkeys(self._computing(gpu), 1.0)
        others = [
            GpuUser(pid, name, share)
            for pid, share in shares.items()
            if not is_ours(pid) and (name := name_of(pid)) is not None
        ]
        return GpuUsers(f"GPU {gpu.index}", tuple(others))

    def _busy(self) -> dict[tuple[str, int], int]:
        """Return the nanoseconds that each process has used the engines of each card, since it began."""
        clients: dict[tuple[str, int, str], int] = {}
        for pid, text in self._fdinfo():
            card, client = _field(text, "drm-pdev"), _field(text, "drm-client-id")
            # Copies of a file descriptor tell of the same client.
            clients[card, pid, client] = sum(int(each) for each in _ENGINE.findall(text))
        busy: dict[tuple[str, int], int] = {}
        for (card, pid, _), used in clients.items():
            busy[card, pid] = busy.get((card, pid), 0) + used
        return busy

    def _fdinfo(self) -> Iterator[tuple[int, str]]:
        """Yield what the kernel tells of each open card of each process that we may look into."""
        for folder in (self._root / "proc").glob("[0-9]*"):
            # Processes of others, and those that end meanwhile.
            with suppress(OSError):
                for descriptor in (folder / "fd").iterdir():
                    if str(descriptor.readlink()).startswith("/dev/dri/"):
                        yield int(folder.name), (folder / "fdinfo" / descriptor.name).read_text()

    def _computing(self, gpu: Gpu) -> Iterator[int]:
        """Yield the processes that hold memory of the GPU through ROCm."""
        number = self._kfd_id(gpu)
        for file in (self._root / "sys/class/kfd/kfd/proc").glob(f"[0-9]*/vram_{number}"):
            with suppress(OSError, ValueError):
                if int(file.read_text()) > 0:
                    yield int(file.parent.name)

    def _kfd_id(self, gpu: Gpu) -> str | None:
        """Return the number under which ROCm's kernel driver knows a GPU."""
        domain, bus, device = (int(part, 16) for part in re.split(r"[:.]", gpu.address)[:3])
        for node in (self._root / "sys/class/kfd/kfd/topology/nodes").glob("*"):
            with suppress(OSError, ValueError):
                words = (node / "properties").read_text().split()
                known = dict(zip(words[::2], words[1::2], strict=False))
                place = (int(known.get("domain", -1)), int(known.get("location_id", -1)))
                if place == (domain, bus << 8 | device << 3):
                    return (node / "gpu_id").read_text().strip()
        return None


def _field(text: str, key: str) -> str:
    match = re.search(rf"^{key}:\s*(\S+)$", text, re.MULTILINE)
    return match[1] if match else ""
