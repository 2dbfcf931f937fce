"""The memory of this host as a process finds it: the machine's, or less where its control group has less."""

import os
import resource
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path("/")

GROUPS = "sys/fs/cgroup"
"""Where Linux shows control groups (version 2), which containers and systemd units are."""

_HEIGHT_RESET = "5"
"""What /proc/PID/clear_refs takes for: forget how high it was (man 5 proc)."""


def total(root: Path = ROOT) -> int | None:
    """Return the bytes that there are for this process and its neighbours; None where nobody says."""
    limits = [limit for limit, _ in _groups(root)]
    if (machine := _machine()) is not None:
        limits.append(machine)
    return min(limits, default=None)


def available(root: Path = ROOT) -> int | None:
    """Return the bytes that this process could still take without swapping; None where nobody says.

    macOS does not say: there it is half of what the machine has.
    """
    rooms = [limit - used for limit, used in _groups(root)]
    if (free := _number(root / "proc/meminfo", "MemAvailable:")) is not None:
        rooms.append(free * 1024)
    elif (machine := _machine()) is not None:
        rooms.append(machine // 2)
    return max(min(rooms), 0) if rooms else None


def in_use(root: Path = ROOT) -> int:
    """Return the bytes that this process has in memory now."""
    resident = _number(root / "proc/self/status", "VmRSS:")
    return _height_ever() if resident is None else resident * 1024


def height(work: Callable[[], object]) -> int:
    """Do something, and return the most bytes that this process had in memory meanwhile.

    Where the system only knows the most since the process began, it is that.
    """
    try:
        Path("/proc/self/clear_refs").write_text(_HEIGHT_RESET)
    except OSError:
        work()
        return _height_ever()
    work()
    highest = _number(Path("/proc/self/status"), "VmHWM:")
    return _height_ever() if highest is None else highest * 1024


def _height_ever() -> int:
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def _machine() -> int | None:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return None


def _groups(root: Path) -> Iterator[tuple[int, int]]:
    """Yield limit and use of each control group around this process that has a limit, the innermost first."""
    for folder in _folders(root):
        limit = _number(folder / "memory.max")
        if limit is not None and (used := _number(folder / "memory.current")) is not None:
            # Files that were read once make room for whoever needs it.
            yield limit, used - (_number(folder / "memory.stat", "inactive_file") or 0)


def _folders(root: Path) -> Iterator[Path]:
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    top = root / GROUPS
    for line in lines:
        if line.startswith("0::/"):
            folder = top / line.removeprefix("0::/")
            yield from (folder, *(each for each in folder.parents if each.is_relative_to(top)))


def _number(file: Path, name: str = "") -> int | None:
    """Return the number after `name` in a file of the kernel's, or the one that it holds; None for "max"."""
    try:
        lines = [line.split() for line in file.read_text().splitlines()]
    except OSError:
        return None
    if not name:
        return int(lines[0][0]) if lines and lines[0] and lines[0][0].isdigit() else None
    return next((int(words[1]) for words in lines if len(words) > 1 and words[0] == name), None)
