"""What a peer uses of its machine: said before it begins, when it first trains, and at changes."""

import hashlib
from contextlib import suppress
from pathlib import Path

import msgspec
import trio

from peer.daemon import disk
from peer.daemon.settings import recall, remember
from peer.daemon.trained_on import recalled
from peer.errors import HomeError
from peer.governor.limits import Limits, caps_in_words, pauses_in_words
from peer.governor.sensors.find import Device
from peer.governor.sensors.processes import memory_of
from peer.plan.shape import trainer_memory
from peer.plan.traffic import month_bytes
from peer.telemetry import limit_events as events
from peer.telemetry.log import Log
from protocol import sizes
from protocol import trainer as ipc
from protocol.manifest import Manifest

LEAST_PEERS = 2
"""What is moved is reckoned for a swarm, though this peer may be the first of it."""

_PASSING = {
    "time": 0.0,
    "disk_free": None,
    "fetched": None,
    "month_bytes": None,
    "taken": None,
}
"""What is no news when it has changed."""


def will_use(home: Path, manifest: Manifest, device: str, limits: Limits, *, joins: bool) -> events.WillUse:
    """Return what will be used, as far as is known before the trainer begins.

    Args:
        home: where checkpoints will lie.
        manifest: of the run.
        device: as it was asked for.
        limits: what may be used.
        joins: what the others have learned is fetched first.
    """
    room = disk.look(home, manifest)
    kind = _kind(home, device)
    return events.WillUse(
        device=device,
        memory=trainer_memory(manifest),
        fetched=sizes.state_bytes(manifest) if joins else None,
        disk_free=room.free if room is not None else None,
        disk_needed=disk.most(manifest),
        pauses=pauses_in_words(limits, gpu=kind != "cpu" if kind else None),
        caps=caps_in_words(limits),
    )


def _kind(home: Path, asked: str) -> str:
    """Return the kind of device that will be trained on; empty where only the trainer can tell."""
    kind = Device.of(asked).kind
    return recalled(recall(home), asked).kind if kind == "auto" else kind


async def uses(
    manifest: Manifest,
    ready: ipc.Ready,
    *,
    batch: int,
    micro_batch: int | None,
    peers: int,
    pace: float,
    trainer: int | None,
) -> events.Uses:
    """Return what training uses.

    Args:
        manifest: of the run.
        ready: what the trainer said when it began.
        batch: sequences of an inner step.
        micro_batch: how many of them the trainer passes at once; None where it has not said.
        peers: of the swarm, as far as is known.
        pace: seconds of an inner step.
        trainer: its process id.
    """
    month = month_bytes(manifest, max(peers, LEAST_PEERS), manifest.outer.every * pace)
    on_processor = Device.of(ready.device).kind == "cpu"
    return events.Uses(
        device=ready.device,
        name=ready.name,
        memory=ready.memory,
        ranks=ready.ranks,
        batch=batch,
        micro_batch=micro_batch,
        context=0 if manifest.task else manifest.model.context,
        month_bytes=month,
        taken=await _held(trainer) if on_processor else trainer_memory(manifest),
    )


async def _held(trainer: int | None) -> int | None:
    if trainer is None:
        return None
    # It looks at every process of the machine: too long a time for the network to wait.
    return await trio.to_thread.run_sync(memory_of, trainer) or None


def say_once(home: Path, told: events.WillUse | events.Uses, log: Log) -> None:
    """Say it, unless the same was said last in this home. A pace and a disk that change are no news."""
    passing = {name: value for name, value in _PASSING.items() if name in told.__struct_fields__}
    lasting = msgspec.structs.replace(told, **passing)
    told_as = hashlib.sha256(msgspec.json.encode(lasting)).hexdigest()
    kept_as = "told" if isinstance(told, events.Uses) else "told_before"
    known = recall(home)
    if getattr(known, kept_as) != told_as:
        log(told)
        # A disk that refuses costs the memory of it: it is said again.
        with suppress(HomeError):
            remember(home, msgspec.structs.replace(known, **{kept_as: told_as}))
