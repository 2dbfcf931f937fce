"""How full the disk of a home is, beside what the run's checkpoints need."""

import math
import shutil
from pathlib import Path

from peer.daemon.room import Room, size
from peer.errors import HomeError
from peer.telemetry.format import format_bytes
from peer.telemetry.limit_events import DiskShort
from peer.telemetry.statistics import DiskStatistics
from protocol import sizes
from protocol.manifest import Manifest

ROOM = 2
"""Checkpoints for which there must be room: the next one, and one more, as logs grow and others write too."""

MOST = 4
"""Checkpoints that lie on the disk at once: three that are kept, and the one that is written."""


def checkpoint(manifest: Manifest) -> int:
    """Return the bytes of one checkpoint: so many tensors of all parameters, in fp32."""
    tensors = 1
    if manifest.outer.preset == "onebyte":
        tensors += 2  # the votes' total, in int64
    else:
        tensors += 2 * (manifest.inner.kind != "sgd")  # moments
        tensors += 2 * (manifest.outer.preset != "solo")  # slow weights and outer momentum
        tensors += manifest.codecs[0] == "topk"  # what it has left out so far
    return tensors * sizes.FP32_BYTES * sizes.parameters(manifest)


def most(manifest: Manifest) -> int:
    """Return the bytes that a run's checkpoints take at the most."""
    return MOST * checkpoint(manifest)


def look(home: Path, manifest: Manifest) -> DiskStatistics | None:
    """Return what is free where `home` lies; None where the system does not tell."""
    try:
        free = shutil.disk_usage(home).free
    except OSError:
        return None
    return DiskStatistics(free=free, needed=ROOM * checkpoint(manifest))


def check(home: Path, manifest: Manifest) -> None:
    """See that one checkpoint finds room: without it all that is learned is lost at the end.

    What a trainer left half written goes before the next is written.

    Raises:
        HomeError: it does not.
    """
    told, needed = look(home, manifest), checkpoint(manifest)
    left_over = sum(size(each) for each in (home / "checkpoints").glob(".*-step-*"))
    if told is not None and told.free + left_over < needed:
        raise HomeError(
            f"Cannot use {home}: a checkpoint of the run {manifest.name!r} takes {format_bytes(needed)}, "
            f"and {format_bytes(told.free)} are free there",
            "Free some space, or name a --home on a larger disk",
        )


def short(home: Path, manifest: Manifest, limit: float | None) -> DiskShort | None:
    """Return what is to be said where not all checkpoints of this home find room that are to be kept.

    Args:
        home: where they lie; one is written before the oldest goes.
        manifest: of the run.
        limit: bytes that the home may take, below which the oldest are dropped; None for no limit.
    """
    there = sum(1 for _ in (home / "checkpoints").glob("step-*"))
    told, more = look(home, manifest), max(MOST - there, 1) * checkpoint(manifest)
    needed = more if limit is None else min(more, int(limit))
    return None if told is None or told.free >= needed else DiskShort(free=told.free, needed=needed)


def lacks_room(home: Path, limit: float | None, manifest: Manifest) -> str:
    """Say why a home has no room for a state of others beside its next checkpoint, or nothing.

    Args:
        home: the peer's folder.
        limit: the most bytes that it may have; None without a limit.
        manifest: of the run.
    """
    state = sizes.state_bytes(manifest)
    needed, missing = checkpoint(manifest), state - size(home / "joining")
    told = look(home, manifest)
    if told is not None and told.free < missing + needed:
        return (
            f"the disk has {format_bytes(told.free)} free, and their state and a checkpoint take "
            f"{format_bytes(missing + needed)}: free some"
        )
    left = math.inf if limit is None else Room(home, limit, needed).left()
    if left < missing:
        return (
            f"the limit of {format_bytes(limit or 0)} on this home leaves {format_bytes(max(left, 0))} for "
            f"their state of {format_bytes(state)}: raise it, or start again with a new home"
        )
    return ""
