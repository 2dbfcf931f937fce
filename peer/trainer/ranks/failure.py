"""What a follower leaves behind that ends for a reason a person can mend: the daemon is then told."""

from pathlib import Path

from peer.errors import PeerError
from protocol.codec import decode, encode
from protocol.errors import ProtocolError
from protocol.trainer import MAX_IPC, Failed

_NAME = "failed"


def write(folder: Path, rank: int, error: PeerError) -> None:
    """Leave it in the folder of all ranks.

    Raises:
        OSError: the disk refused.
    """
    failed = Failed(code=int(error.code), message=error.message, remedy=error.remedy)
    (folder / f"{_NAME}-{rank}").write_bytes(encode(failed))


def read(folder: Path) -> Failed | None:
    """Return what one of the followers has left; None where none has."""
    left = (_read(file) for file in sorted(folder.glob(f"{_NAME}-*")))
    return next((failed for failed in left if failed is not None), None)


def _read(file: Path) -> Failed | None:
    try:
        return decode(file.read_bytes(), Failed, MAX_IPC)
    except (OSError, ProtocolError):
        return None
