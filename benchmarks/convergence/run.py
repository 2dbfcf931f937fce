"""Runs one arm, and says what came of it."""

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.convergence.arm import Arm
from benchmarks.convergence.learner import Learner, Loss, Snapshot, Stream
from benchmarks.convergence.setting import Setting
from benchmarks.convergence.swarm import SHARDS, Swarm
from peer.codec.base import CodecError
from peer.trainer.data import Corpus
from peer.trainer.evaluate import held_out_loss
from peer.trainer.flat import flatten
from peer.trainer.model import build

CURVE_WINDOWS = 256
DIVERGED = 8.0
"""Nats a token: above a uniform guess among 256, so nothing is learned any more."""


@dataclass(frozen=True)
class Texts:
    """What replicas train on, and what they are measured on."""

    training: list[Tensor]
    held_out: list[Tensor]


class Meter:
    """Losses of flat weights on the same held-out windows."""

    def __init__(self, setting: Setting, texts: Texts) -> None:
        manifest = setting.manifest
        self._net = build(manifest.model, manifest.tokenizer.vocabulary, 0)
        self._flat = flatten(self._net)
        self._texts, self._setting = texts.held_out, setting

    @torch.no_grad()
    def loss(self, weights: Tensor, windows: int | None = None) -> float:
        """Return nats a token over `windows` windows, as many of each text."""
        self._flat.copy_(weights)
        each = (windows or self._setting.eval_windows) // len(self._texts)
        losses = [held_out_loss(self._net, text, self._setting.context, each) for text in self._texts]
        return sum(losses) / len(losses)


def texts_of(arm: Arm, setting: Setting) -> Texts:
    """Return the texts that the arm's replicas read, and what it is measured on."""
    names = ["shakespeare"] if arm.shards == "shakespeare" else ["shakespeare", "austen"]
    corpora: list[Corpus] = [setting.text(name) for name in names]
    return Texts([corpus.training for corpus in corpora], [corpus.held_out for corpus in corpora])


def run(arm: Arm, setting: Setting, cache: Path, loss: Loss | None, singles: int) -> dict[str, Any]:
    """Run the arm and return its losses, as JSON knows them.

    Args:
        arm: what to run.
        setting: what it has in common with the arms that it is compared with.
        cache: folder of warm starts.
        loss: computes a batch's loss; None for the model as it is, a compiled one to save time.
        singles: of how many replicas the loss is measured at the end, too.
    """
    began = time.monotonic()
    texts = texts_of(arm, setting)
    start = setting.warm_start(texts.training, cache)
    meter = Meter(setting, texts)
    first = {"step": 0, "average": meter.loss(start.theta, CURVE_WINDOWS)}
    if arm.together:
        results = _together(arm, setting, start, texts, meter, loss)
    else:
        results = _apart(Swarm(arm, setting, start, texts.training, loss), arm, setting, meter, singles)
    curve = [first, *results.pop("curve")]
    return {
        "arm": asdict(arm),
        "setting": asdict(setting),
        **results,
        "curve": curve,
        "seconds": round(time.monotonic() - began, 1),
    }


def _apart(swarm: Swarm, arm: Arm, setting: Setting, meter: Meter, singles: int) -> dict[str, Any]:
    curve: list[dict[str, float]] = []
    shares = bool(arm.rule.shares)
    while swarm.tick < swarm.ticks:
        last = swarm.tick + 1 == swarm.ticks
        try:
            swarm.advance()
        except CodecError:  # it carries no NaN
            return _diverged(curve)
        if swarm.tick % arm.every and not last:
            continue
        point: dict[str, float] = {"step": swarm.tick, "spread": swarm.spread()}
        if (swarm.tick // arm.every) % 2 == 0 or last:
            point["average"] = meter.loss(swarm.average(), CURVE_WINDOWS)
            if not point["average"] < DIVERGED:
                return _diverged(curve)
        curve.append(point)
    swarm.finish()
    chosen = [member.learner.theta for member in swarm.members[:singles]]
    values = swarm.members[0].learner.theta.numel()
    return {
        "average": meter.loss(swarm.average()),
        "slow": meter.loss(swarm.average(slow=True)) if shares and arm.rule.fragments != 1 else None,
        "singles": [meter.loss(theta) for theta in chosen],
        "spread": swarm.spread(),
        "bits": 8 * sum(swarm.wire.sent.values()) / values / arm.replicas / setting.steps,
        "wire": swarm.wire.statistics(),
        "curve": curve,
    }


def _diverged(curve: list[dict[str, float]]) -> dict[str, Any]:
    return {"average": None, "singles": [], "bits": None, "wire": {}, "curve": curve}


def _together(
    arm: Arm, setting: Setting, start: Snapshot, texts: Texts, meter: Meter, loss: Loss | None
) -> dict[str, Any]:
    """Train one model on what all replicas read, as data-parallel does."""
    learner = Learner(setting.manifest, loss)
    learner.restore(start)
    streams = [Stream(texts.training, SHARDS, i, setting.seed, setting.context) for i in range(arm.replicas)]
    curve = []
    for step in range(setting.steps):
        learner.take_step(torch.cat([stream.take(setting.batch) for stream in streams]), setting.warm + step)
        if (step + 1) % (2 * arm.every) == 0:
            curve.append({"step": step + 1, "average": meter.loss(learner.theta, CURVE_WINDOWS)})
    average = meter.loss(learner.theta)
    return {"average": average, "singles": [average], "bits": 64.0, "curve": curve}
