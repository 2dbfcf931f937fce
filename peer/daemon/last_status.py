"""What a daemon says of itself last, kept in its home: for reports on peers that have ended."""

from pathlib import Path

import msgspec

from peer.daemon.home import write_atomically
from protocol.control import Status

_FILE = "status.json"


def write_last_status(home: Path, status: Status) -> None:
    """Keep the last status of a daemon that ends."""
    write_atomically(home / _FILE, msgspec.json.format(msgspec.json.encode(status)) + b"\n")


def read_last_status(home: Path) -> Status | None:
    """Return what the daemon that ended last said, or None where none has ended in order."""
    try:
        return msgspec.json.decode((home / _FILE).read_bytes(), type=Status)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
