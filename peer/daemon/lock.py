"""One daemon a folder: a lock that the kernel drops when its holder dies, however it dies."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from peer.errors import HomeInUseError
from peer.paths import option_for


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Hold the lock on `file`, which is made if need be and left there.

    Raises:
        HomeInUseError: another process holds it; the message names it.
        OSError: the file cannot be made or locked.
    """
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise _in_use(file.parent, os.read(descriptor, 32)) from error
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        yield
    finally:
        # Removing the file would let a third process lock a new one beside a second that waits on this.
        os.close(descriptor)


def _in_use(folder: Path, holder: bytes) -> HomeInUseError:
    # The holder writes its number after it has the lock, so it may not be there yet.
    name = f"process {int(holder)}" if holder.strip().isdigit() else "another process"
    return HomeInUseError(
        f"{folder} is in use by {name}",
        f"Stop that one with `peer stop{option_for(folder)}`, or name another folder with --home",
    )
