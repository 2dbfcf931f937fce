"""What a follower leaves behind that ends for a reason a person can mend: rank 0 tells the daemon."""

from pathlib import Path

from peer.errors import PeerError
from protocol.codec import decode, encode
from protocol.errors import ProtocolError
from protocol.trainer import MAX_IPC, Failed


def write(meeting: Path, rank: int, error: PeerError) -> None:
    """Leave it beside the file where the ranks meet.

    Raises:
        OSError: the disk refused.
    """
    failed = Failed(code=int(error.code), message=error.message, remedy=error.remedy)
    _file(meeting, rank).write_bytes(encode(failed))


def take(meeting: Path, ranks: int) -> Failed | None:
    """Return what the first of so many followers has left, and remove what any has; None where none has."""
    found = [each for rank in range(1, ranks + 1) if (each := _take(_file(meeting, rank))) is not None]
    return found[0] if found else None


def _take(file: Path) -> Failed | None:
    try:
        content = file.read_bytes()
        file.unlink()
        return decode(content, Failed, MAX_IPC)
    except (OSError, ProtocolError):
        return None


def _file(meeting: Path, rank: int) -> Path:
    return meeting.with_name(f"{meeting.name}-{rank}")
