"""A run small enough for tests: 2 layers of width 32, context 32, over the embedded text."""

from functools import cache
from pathlib import Path
from typing import Any

import torch

from peer.trainer import data
from peer.trainer.replica import Replica
from protocol.codec import digest, encode
from protocol.manifest import Inner, Manifest, Model, Outer

MODEL = Model(layers=2, width=32, heads=2, hidden=64, context=32)
INNER = Inner(batch=2, warmup=4, steps=40, learning_rate=1e-2)


def manifest(preset: Any = "noloco", *, codecs: Any = ("fp32",), **outer: Any) -> Manifest:
    settings = {"every": 4} | ({"alpha": 0.9, "mixes": 2} if preset == "gossip" else {}) | outer
    return Manifest(
        founder=bytes(32), model=MODEL, inner=INNER, outer=Outer(preset=preset, **settings), codecs=codecs
    )


@cache
def corpus() -> data.Corpus:
    return data.load(manifest(), None, None)


def replica(run: Manifest | None = None, shard: int = 0) -> Replica:
    return Replica(run or manifest(), corpus(), shard, torch.device("cpu"))


def run_id(run: Manifest) -> bytes:
    return digest(encode(run))


def train(one: Replica, steps: int) -> list[float]:
    """Inner steps, with the outer step at each boundary; the shares go nowhere."""
    losses = []
    for _ in range(steps):
        losses.append(float(one.take_inner_step()))
        if one.at_boundary:
            one.take_outer_step()
    return losses


def write_file(folder: Path, name: str, content: bytes | str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path
