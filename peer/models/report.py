"""The object that `peer evaluate --json` prints: models beside each other on one text."""

from pathlib import Path
from typing import Literal

import msgspec
import torch

from peer.models import evaluate, loaded
from peer.models.loaded import Loaded
from peer.models.replicas import Replicas, Report, average, load

AVERAGE = "their average"
BASE = "the base model"


class Scored(msgspec.Struct, frozen=True, kw_only=True):
    """One model's row.

    Attributes:
        kind: `average` is the swarm's model: the mean of the replicas' weights. `base` is a run's base model
            as it was before training.
        inner_step: of a replica.
        loss: nats a token.
    """

    name: str
    kind: Literal["replica", "average", "base", "exported"]
    inner_step: int | None
    loss: float
    perplexity: float
    bits_per_byte: float


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """The whole object. Fields keep their names and meanings."""

    path: str
    bytes: int
    tokens: int
    run_id: str | None
    models: list[Scored]


def evaluate_replicas(replicas: Replicas, path: Path, device: torch.device, report: Report) -> Evaluation:
    """Score each replica, their average where there are several, and the run's base model if it has one.

    Raises:
        DataError: the text or the tokenizer is of no use.
        CheckpointError: a checkpoint is damaged, or of another model.
    """
    model = loaded.of_run(replicas, device)
    text = evaluate.read(path, model)
    several, based = len(replicas.members) > 1, bool(replicas.manifest.model.pretrained)
    parts = based + len(replicas.members) + several
    rows: list[Scored] = []
    if based:
        # No weights have been put in yet, and fresh adapters change nothing.
        score = evaluate.score(model, text, _part(report, len(rows), parts))
        rows.append(_row(BASE, "base", None, score))
    for one in replicas.members:
        loaded.put(load(one, replicas.manifest), model.net)
        score = evaluate.score(model, text, _part(report, len(rows), parts))
        rows.append(_row(one.name, "replica", one.counters.inner_step, score))
    if several:
        loaded.put(average(replicas).weights, model.net)
        score = evaluate.score(model, text, _part(report, len(rows), parts))
        rows.append(_row(AVERAGE, "average", None, score))
    return _evaluation(path, text, replicas.run_id, [*rows[based:], *rows[:based]])


def evaluate_folder(folder: Path, path: Path, device: torch.device, report: Report) -> Evaluation:
    """Score the model that was exported to `folder`.

    Raises:
        DataError: the text is of no use.
        ModelError: the folder holds no exported model, or a damaged one.
    """
    model: Loaded = loaded.of_folder(folder, device)
    text = evaluate.read(path, model)
    score = evaluate.score(model, text, report)
    return _evaluation(path, text, None, [_row(folder.name, "exported", None, score)])


def _part(report: Report, done_before: int, parts: int) -> Report:
    return lambda done, of: report(done_before * of + done, parts * of)


def _row(
    name: str,
    kind: Literal["replica", "average", "base", "exported"],
    inner_step: int | None,
    score: evaluate.Score,
) -> Scored:
    return Scored(
        name=name,
        kind=kind,
        inner_step=inner_step,
        loss=score.loss,
        perplexity=score.perplexity,
        bits_per_byte=score.bits_per_byte,
    )


def _evaluation(path: Path, text: evaluate.Text, run_id: str | None, rows: list[Scored]) -> Evaluation:
    return Evaluation(path=str(path), bytes=text.size, tokens=text.tokens.numel(), run_id=run_id, models=rows)
