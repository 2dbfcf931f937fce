"""What a running daemon needs and nobody keeps: its control socket, and the spool through which tensors pass.

It lies in shared memory where there is room, under a name of its own, as a socket's path must be short;
a file in the home says where. A lock on it tells a folder in use from one that a killed daemon left.
"""

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from peer.daemon.home import write_atomically
from peer.errors import HomeError, NotRunningError
from peer.paths import option_for

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - only a private folder with an unguessable name is made in it

ROOM = 1 << 30
"""Bytes that must be free in shared memory: shares of a 100 M parameter model, several at once. A container
often has 64 MiB."""

LONGEST_SOCKET = 100
"""Bytes of a socket's path: the kernel takes 104 on macOS, 108 on Linux."""

_PRIVATE_FOLDER = stat.S_IFDIR | 0o700
_POINTER = "runtime"
_PREFIX = "murmuration-runtime-"
_SOCKET = "control.sock"


class Runtime:
    """The runtime folder of one daemon.

    Attributes:
        path: the folder, which only this user can enter.
        control: where the control socket is to be bound.
        spool: an empty folder for files that pass between the daemon and its trainer.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.control = path / _SOCKET
        self.spool = path / "spool"

    @classmethod
    @contextmanager
    def open(cls, home: Path, *, shared_memory: Path = SHARED_MEMORY, room: int = ROOM) -> Iterator[Self]:
        """Make the folder for the daemon that holds `home`, and remove it at the end.

        What daemons of this user left behind when they were killed, in whatever home, is removed first:
        shared memory that they hold would be missed.

        Raises:
            HomeError: neither shared memory nor the temporary folder can be used.
        """
        temporary = Path(tempfile.gettempdir())
        for base in (shared_memory, temporary):
            _remove_abandoned(base)
        with _made_in(shared_memory if _has_room(shared_memory, room) else temporary) as folder:
            runtime = cls(folder)
            runtime.spool.mkdir(mode=0o700)
            pointer = home / _POINTER
            write_atomically(pointer, os.fsencode(folder))
            try:
                yield runtime
            finally:
                pointer.unlink(missing_ok=True)


def control_socket(home: Path) -> Path:
    """Return where the daemon of `home` listens for commands; it may have died since it wrote that down.

    Raises:
        NotRunningError: no daemon runs there.
    """
    try:
        folder = os.fsdecode((home / _POINTER).read_bytes())
    except OSError as error:
        raise NotRunningError(
            f"No daemon runs in {home}", f"Start one with `peer start{option_for(home)}`"
        ) from error
    return Path(folder) / _SOCKET


def running(shared_memory: Path = SHARED_MEMORY) -> list[Path]:
    """Return the control sockets of this user's daemons, in whatever home; some may have died."""
    bases = (shared_memory, Path(tempfile.gettempdir()))
    folders = [folder for base in bases for folder in base.glob(f"{_PREFIX}*") if _is_ours(folder)]
    return [folder / _SOCKET for folder in folders]


def _is_ours(folder: Path) -> bool:
    try:
        status = folder.lstat()
    except OSError:
        return False
    return status.st_mode == _PRIVATE_FOLDER and status.st_uid == os.geteuid()


def _remove_abandoned(base: Path) -> None:
    for folder in base.glob(f"{_PREFIX}*"):
        # Another daemon that starts may be quicker.
        with suppress(OSError):
            if _is_ours(folder):
                with _locked(folder):
                    shutil.rmtree(folder)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _has_room(base: Path, room: int) -> bool:
    try:
        return os.access(base, os.W_OK | os.X_OK) and shutil.disk_usage(base).free >= room
    except OSError:
        return False


@contextmanager
def _made_in(base: Path) -> Iterator[Path]:
    remedy = "Set TMPDIR to a short path that can be written"
    if len(os.fsencode(base / f"{_PREFIX}12345678" / _SOCKET)) >= LONGEST_SOCKET:
        raise HomeError(f"{base} is too long a path for a socket", remedy)
    try:
        new = Path(tempfile.mkdtemp(prefix=f".{_PREFIX}", dir=base))
    except OSError as error:
        raise HomeError(f"Cannot make a folder in {base}: {error.strerror}", remedy) from error
    with _locked(new):
        # Only now does it get the name under which another daemon that starts would find it abandoned.
        folder = new.rename(base / new.name.removeprefix("."))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
