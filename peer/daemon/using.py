"""What a peer uses of its machine: said when it first trains, and when that has changed."""

import hashlib
from contextlib import suppress
from pathlib import Path

import msgspec

from peer.daemon import disk
from peer.daemon.settings import recall, remember
from peer.errors import HomeError
from peer.governor.limits import Limits, caps_in_words, pauses_in_words
from peer.governor.sensors.find import Device
from peer.plan.traffic import month_bytes
from peer.telemetry import limit_events as events
from peer.telemetry.log import Log
from protocol import trainer as ipc
from protocol.manifest import Manifest

LEAST_PEERS = 2
"""What is moved is reckoned for a swarm, though this peer may be the first of it."""


def uses(
    home: Path,
    manifest: Manifest,
    ready: ipc.Ready,
    limits: Limits,
    *,
    batch: int,
    fitted: ipc.Fitted | None,
    peers: int,
    pace: float,
) -> events.Uses:
    """Return what is used.

    Args:
        home: where checkpoints lie.
        manifest: of the run.
        ready: what the trainer said when it began.
        limits: what may be used.
        batch: sequences of an inner step.
        fitted: how many of them the trainer passes at once; None where it has not said.
        peers: of the swarm, as far as is known.
        pace: seconds of an inner step.
    """
    gpu = ready.gpus[0] if ready.gpus else None
    room = disk.look(home, manifest)
    month = month_bytes(manifest, max(peers, LEAST_PEERS), manifest.outer.every * pace)
    return events.Uses(
        device=ready.device,
        name=ready.name if gpu else "",
        memory=gpu.memory if gpu else None,
        ranks=ready.ranks,
        batch=batch,
        micro_batch=fitted.micro_batch if fitted else None,
        context=0 if manifest.task else manifest.model.context,
        disk_free=room.free if room is not None else None,
        disk_needed=disk.most(manifest),
        month_bytes=month,
        pauses=pauses_in_words(limits, gpu=Device.of(ready.device).kind != "cpu"),
        caps=caps_in_words(limits),
    )


def say_once(home: Path, told: events.Uses, log: Log) -> None:
    """Say it, unless the same was said last in this home. A pace and a disk that change are no news."""
    lasting = msgspec.structs.replace(told, time=0.0, disk_free=None, month_bytes=None)
    told_as = hashlib.sha256(msgspec.json.encode(lasting)).hexdigest()
    known = recall(home)
    if known.told != told_as:
        log(told)
        # A disk that refuses costs the memory of it: it is said again.
        with suppress(HomeError):
            remember(home, msgspec.structs.replace(known, told=told_as))
