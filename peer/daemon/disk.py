"""How full the disk of a home is, beside what the run's checkpoints need."""

import shutil
from pathlib import Path

from peer.telemetry.statistics import DiskStatistics
from protocol import sizes
from protocol.manifest import Manifest

CHECKPOINT = 2
"""States that a checkpoint holds: fast weights and the inner optimiser's buffers are as large as a state."""

ROOM = 2
"""Checkpoints for which there must be room: the next one, and one more, as logs grow and others write too."""

MOST = 4
"""Checkpoints that lie on the disk at once: three that are kept, and the one that is written."""


def most(manifest: Manifest) -> int:
    """Return the bytes that a run's checkpoints take at the most."""
    return MOST * CHECKPOINT * sizes.state_bytes(manifest)


def look(home: Path, manifest: Manifest) -> DiskStatistics | None:
    """Return what is free where `home` lies; None where the system does not tell."""
    try:
        free = shutil.disk_usage(home).free
    except OSError:
        return None
    return DiskStatistics(free=free, needed=ROOM * CHECKPOINT * sizes.state_bytes(manifest))
