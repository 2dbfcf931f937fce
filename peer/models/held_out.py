"""How replicas and their average do on what their run holds out, by the run's own evaluation."""

from typing import Literal

import msgspec
import torch

from peer.models.loaded import put
from peer.models.replicas import Replicas, Report, average
from peer.models.report import AVERAGE, BASE
from peer.trainer.checkpoint import load_weights
from peer.trainer.evaluate import WINDOWS
from peer.trainer.work import Work, load


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """One model's row.

    Attributes:
        kind: as in `peer.models.report.Scored`.
        inner_step: of a replica.
        loss: nats a token; of a task, in the task's own unit.
        measures: what a task tells beside it, by name.
    """

    name: str
    kind: Literal["replica", "average", "base"]
    inner_step: int | None
    loss: float
    measures: dict[str, float]


class HeldOut(msgspec.Struct, frozen=True, kw_only=True):
    """What `peer evaluate --json` prints where no text is given. Fields keep their names and meanings."""

    run_id: str
    task: str | None
    """None where the run trains a language model."""
    models: list[Judged]


@torch.no_grad()
def evaluate_held_out(replicas: Replicas, device: torch.device, report: Report) -> HeldOut:
    """Judge each replica, their average where there are several, and the run's base model if it has one.

    Raises:
        PeerError: as `peer.trainer.work.load`, or a checkpoint is damaged.
    """
    work = load(replicas.manifest, replicas.places, shard=0)
    work.net.to(device)
    several, based = len(replicas.members) > 1, bool(replicas.manifest.model.pretrained)
    parts = based + len(replicas.members) + several
    rows: list[Judged] = []
    if based:
        report(len(rows), parts)
        rows.append(_judge(work, BASE, "base", None))
    for one in replicas.members:
        report(len(rows), parts)
        load_weights(one.path, work.net)
        rows.append(_judge(work, one.name, "replica", one.counters.inner_step))
    if several:
        report(len(rows), parts)
        put(average(replicas).weights, work.net)
        rows.append(_judge(work, AVERAGE, "average", None))
    report(parts, parts)
    task = replicas.manifest.task
    return HeldOut(
        run_id=replicas.run_id, task=task.name if task else None, models=[*rows[based:], *rows[:based]]
    )


def _judge(
    work: Work, name: str, kind: Literal["replica", "average", "base"], inner_step: int | None
) -> Judged:
    loss, measures = work.held_out_loss(), work.measure(WINDOWS)
    return Judged(name=name, kind=kind, inner_step=inner_step, loss=loss, measures=measures)
