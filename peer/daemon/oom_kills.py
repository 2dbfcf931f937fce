"""Whether the system has ended processes because its memory ran out."""

from pathlib import Path

VMSTAT = Path("/proc/vmstat")


def kills(file: Path = VMSTAT) -> int | None:
    """Return how many processes Linux has ended so since it started, containers included; None elsewhere."""
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return None
    return next((int(words[1]) for line in lines if (words := line.split())[:1] == ["oom_kill"]), None)
