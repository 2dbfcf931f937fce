"""Keeps a home below its limit: what is dropped first, and what the home takes."""

import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from peer.governor.readings import HomeSize, Readings
from peer.telemetry.event_file import older


class Room:
    """Makes room in a home when read, and tells what it takes then.

    The oldest checkpoints go first, all but the newest, then the older file of events. Nothing else is ours
    to drop. There must be room for one more checkpoint, which is written beside the newest.
    """

    def __init__(self, home: Path, limit: float, checkpoint: int) -> None:
        """Take the home, the most bytes that it may have, and what its first checkpoint will take."""
        self._home = home
        self._limit = limit
        self._checkpoint = checkpoint

    def __call__(self) -> Readings:
        """Look once."""
        return Readings(home=self._make_room())

    def _count(self) -> tuple[HomeSize, list[Path]]:
        """Return what the home takes, and its checkpoints, the newest first."""
        checkpoints = sorted((self._home / "checkpoints").glob("step-*"), reverse=True)
        after = size(checkpoints[0]) if checkpoints else self._checkpoint
        # What is being written or dropped just now has been counted, or counts no more.
        hidden = sum(size(each) for each in (self._home / "checkpoints").glob(".*-step-*"))
        return HomeSize(size(self._home) - hidden, after), checkpoints

    def _make_room(self) -> HomeSize:
        now, checkpoints = self._count()
        taken, after = now.taken, now.next_checkpoint
        for each in self._droppable(checkpoints):
            if taken + after <= self._limit:
                break
            taken -= size(each)
            _drop(each)
        return HomeSize(taken, after)

    def left(self) -> float:
        """Return the bytes for which there would be room beside the newest checkpoint and the next one."""
        now, checkpoints = self._count()
        droppable = sum(size(each) for each in self._droppable(checkpoints))
        return self._limit - now.next_checkpoint - (now.taken - droppable)

    def _droppable(self, checkpoints: list[Path]) -> Iterator[Path]:
        yield from reversed(checkpoints[1:])
        events = older(self._home / "events.log")
        if events.exists():
            yield events


def size(path: Path) -> int:
    """Return the bytes that a file or folder takes on its disk. What goes away meanwhile takes none."""
    found = 0
    for each in (path, *path.rglob("*")):
        with suppress(OSError):
            found += each.lstat().st_blocks * 512
    return found


def _drop(path: Path) -> None:
    if path.is_dir():
        # Under another name first: the trainer, which drops old checkpoints as well, never sees half of one.
        gone = path.with_name(f".old-{path.name}")
        with suppress(OSError):
            path.rename(gone)
            shutil.rmtree(gone, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
