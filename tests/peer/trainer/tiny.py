"""A run small enough for tests: 2 layers of width 32, context 32, over the embedded text."""

from functools import cache
from pathlib import Path
from typing import Any

import torch

from peer.trainer import data
from peer.trainer.replica import Replica
from peer.trainer.work import Work, plain
from protocol.codec import digest, encode
from protocol.manifest import Inner, Manifest, Model, Outer
from protocol.presets import PRESETS

MODEL = Model(layers=2, width=32, heads=2, hidden=64, context=32)
CONSTANTS = ("alpha", "beta", "overlap", "mixes", "group", "fragments")
PLAIN = {"every": 4, "landing": "add", "warming": 0, "seeks": 1}
INNER = Inner(batch=2, warmup=4, steps=40, learning_rate=1e-2)


def manifest(preset: Any = "noloco", *, codecs: Any = ("fp32",), **outer: Any) -> Manifest:
    """A manifest with the preset's constants, but simple where a test does not ask for more.

    Mixes are added, at full momentum, two an outer step; two fragments where it streams; H = 4.
    """
    preset_ = PRESETS[preset]
    settings: dict[str, Any] = {name: preset_.value(name, MODEL.layers) for name in CONSTANTS} | PLAIN | outer
    if "mixes" not in outer and preset_.mixes > 1:
        settings["mixes"] = 2
    return Manifest(
        founder=bytes(32), model=MODEL, inner=INNER, outer=Outer(preset=preset, **settings), codecs=codecs
    )


@cache
def corpus() -> data.Corpus:
    return data.load(manifest(), None, None)


def replica(run: Manifest | None = None, shard: int = 0) -> Replica:
    return Replica(run or manifest(), work(run, shard), torch.device("cpu"))


def work(run: Manifest | None = None, shard: int = 0) -> Work:
    return plain(run or manifest(), corpus(), shard)


def run_id(run: Manifest) -> bytes:
    return digest(encode(run))


def train(one: Replica, steps: int) -> list[float]:
    """Inner steps, with the outer step at each boundary; the shares go nowhere."""
    losses = []
    for _ in range(steps):
        losses.append(float(one.take_inner_step()))
        if (fragment := one.due) is not None:
            one.take_outer_step(fragment)
            one.settle(fragment)
    return losses


def write_file(folder: Path, name: str, content: bytes | str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def adamw(parameters: list[torch.nn.Parameter], inner: Inner) -> torch.optim.AdamW:
    """torch's own AdamW, as the trainer has to take its steps: only matrices decay."""
    matrices = [parameter for parameter in parameters if parameter.ndim > 1]
    vectors = [parameter for parameter in parameters if parameter.ndim <= 1]
    return torch.optim.AdamW(
        [{"params": matrices, "weight_decay": inner.weight_decay}, {"params": vectors, "weight_decay": 0.0}],
        lr=inner.learning_rate,
        betas=(inner.beta1, inner.beta2),
        eps=1e-8,
        fused=True,
    )
