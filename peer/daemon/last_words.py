"""What a trainer said last, out of the log that all trainers of a home share."""

from pathlib import Path

from peer.telemetry.format import printable

MOST = 200
"""Characters that are told; the log has all of them."""

_READ = 4096


def size(log: Path) -> int:
    """Return the bytes of the log; 0 where there is none yet."""
    try:
        return log.stat().st_size
    except OSError:
        return 0


def last_words(log: Path, since: int) -> str:
    """Return the last line that was written after the log had `since` bytes; empty where there is none.

    The last line of a Python traceback is the one that says what was wrong.
    """
    try:
        with log.open("rb") as file:
            file.seek(max(since, size(log) - _READ))
            lines = file.read(_READ).decode(errors="replace").strip().splitlines()
    except OSError:
        return ""
    said = printable(lines[-1].strip()) if lines else ""
    return said if len(said) <= MOST else f"{said[: MOST - 3]}..."
