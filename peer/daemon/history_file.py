"""The loss curve in a home, as of its last checkpoint: a peer that goes on there shows its whole run."""

from contextlib import suppress
from pathlib import Path

import msgspec

from peer.daemon.home import write_atomically
from peer.errors import HomeError
from peer.telemetry.history import History, Kept

_FILE = "history.json"


def write_history(home: Path, history: History) -> None:
    """Keep it. A disk that refuses costs the curve of a later daemon, and no more."""
    with suppress(HomeError):
        write_atomically(home / _FILE, msgspec.json.encode(history.kept()) + b"\n")


def read_history(home: Path, history: History) -> None:
    """Fill a history with what was kept; a missing or damaged file is as good as none."""
    with suppress(OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        history.restore(msgspec.json.decode((home / _FILE).read_bytes(), type=Kept))
