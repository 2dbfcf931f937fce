"""The folder of all ranks: what they are told when they are started, and the file where they meet."""

from pathlib import Path

from protocol.codec import decode, encode
from protocol.trainer import MAX_IPC, Begin

_ORDER = "begin"


def write_order(folder: Path, begin: Begin) -> None:
    """Make the folder, for its owner's eyes, with what the daemon asked for.

    Raises:
        OSError: the disk refused.
    """
    folder.mkdir(mode=0o700)
    (folder / _ORDER).write_bytes(encode(begin))


def read_order(folder: Path) -> Begin:
    """Return what the daemon asked for."""
    return decode((folder / _ORDER).read_bytes(), Begin, MAX_IPC)


def meeting(folder: Path) -> Path:
    """Return the file where the ranks meet."""
    return folder / "meeting"
