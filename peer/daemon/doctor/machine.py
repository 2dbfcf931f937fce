"""What the doctor looks at on this machine: disk, device and memory."""

import json
import shutil
import subprocess
from pathlib import Path

import msgspec
import trio

from peer.daemon import disk
from peer.daemon.doctor.findings import Finding, Number, found, well
from peer.plan.shape import trainer_memory
from peer.programs import python
from peer.telemetry.format import format_bytes, unused_in_words
from protocol.gpu import Gpu
from protocol.manifest import Manifest

WITHOUT_RUN = 2 << 30
"""Bytes that a small run takes on the disk, where it is not known yet which run."""

LONGEST = 120.0
"""Seconds for torch to start and to find its device."""


class Seen(msgspec.Struct):
    """What `peer.trainer.inspect` prints."""

    device: str = ""
    name: str = ""
    free: int | None = None
    gpus: tuple[Gpu, ...] = ()
    unused: str = ""
    error: str = ""
    remedy: str = ""


def look_at_disk(home: Path, manifest: Manifest | None) -> Finding:
    """See whether checkpoints will fit beside the home."""
    folder = next(each for each in (home, *home.absolute().parents) if each.is_dir())
    free = shutil.disk_usage(folder).free
    needed = WITHOUT_RUN if manifest is None else disk.most(manifest)
    said = f"{format_bytes(free)} free at {folder}; the run takes up to {format_bytes(needed)}"
    if free >= needed:
        return well("disk", said)
    return found(
        "disk",
        Number.DISK,
        "failure" if free < needed // 2 else "warning",
        said,
        mend=f"peer start --home /on/a/larger/disk (or free {format_bytes(needed - free)})",
    )


def look_at_device(seen: Seen, manifest: Manifest | None) -> list[Finding]:
    """See what the trainer would train on, and whether the run's model fits."""
    if seen.error:
        return [found("device", Number.DEVICE, "failure", seen.error, mend=seen.remedy)]
    called = f"{seen.device} {seen.name}".strip()
    if seen.unused:
        called += f" ({unused_in_words(seen.unused)})"
    if seen.free is None:
        return [well("device", called)]
    said = f"{called}, {format_bytes(seen.free)} of memory free"
    if manifest is None:
        return [well("device", said)]
    needed = trainer_memory(manifest)
    said += f"; the run takes {format_bytes(needed)} and its activations"
    if seen.free >= needed:
        return [well("device", said)]
    return [found("device", Number.MEMORY, "warning", said)]


async def inspect(name: str) -> Seen:
    """Return what the trainer would train on."""
    command = python("peer.trainer.inspect", name)
    with trio.move_on_after(LONGEST):
        done = await trio.run_process(command, capture_stdout=True, stderr=subprocess.DEVNULL, check=False)
        try:
            return msgspec.convert(json.loads(done.stdout), Seen)
        except (ValueError, msgspec.ValidationError):
            return Seen(error=f"torch does not start (exit code {done.returncode})", remedy=_REINSTALL)
    return Seen(error=f"torch did not start within {LONGEST:g} s", remedy=_REINSTALL)


_REINSTALL = "python -c 'import torch' (and mend what it says)"
