"""What all arms of one comparison have in common: model, text, schedule, and the weights they start from."""

import hashlib
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from benchmarks.convergence.learner import Learner, Snapshot, Stream
from peer.trainer import data, sources
from peer.trainer.data import Corpus
from protocol.manifest import Inner, Manifest, Model

HELD_OUT = 0.05


@dataclass(frozen=True)
class Setting:
    """One comparison: arms of the same setting and seed read the same text in the same order.

    Attributes:
        seed: of the first weights, of the order of the text, and of who meets whom.
        rate: peak learning rate; a cosine leads to a tenth of it.
        warm: inner steps of one model before the swarm starts, of `warm_batch` sequences each.
        steps: inner steps of each replica after that.
        batch: sequences of one inner step of one replica.
    """

    seed: int = 0
    layers: int = 4
    width: int = 128
    heads: int = 2
    hidden: int = 352
    context: int = 64
    rate: float = 3e-3
    warm: int = 200
    warm_batch: int = 16
    warmup: int = 50
    steps: int = 400
    batch: int = 4
    eval_windows: int = 1024
    kind: Literal["adamw", "muon", "sgd"] = "adamw"

    @property
    def manifest(self) -> Manifest:
        """The run that the daemon would make of it."""
        return Manifest(
            seed=self.seed,
            model=Model(self.layers, self.width, self.heads, self.hidden, self.context),
            inner=Inner(
                kind=self.kind,
                learning_rate=self.rate,
                warmup=self.warmup,
                steps=self.warm + self.steps,
                batch=self.batch,
            ),
            founder=bytes(32),
        )

    def text(self, source: str) -> Corpus:
        """Return the tokens of `shakespeare` or `austen`, one a byte."""
        manifest = self.manifest
        if source == "shakespeare":
            return data.load(manifest, None, None)
        tokens = torch.frombuffer(bytearray(sources.embedded("austen")), dtype=torch.uint8)
        cut = int(tokens.numel() * (1 - HELD_OUT))
        return Corpus(training=tokens[:cut], held_out=tokens[cut:])

    def warm_start(self, texts: list[Tensor], cache: Path) -> Snapshot:
        """Return the state after the warm-up, from the cache where it is there."""
        key = asdict(replace(self, eval_windows=0)) | {"texts": [text.numel() for text in texts]}
        name = hashlib.sha256(repr(sorted(key.items())).encode()).hexdigest()[:16]
        file = cache / f"warm-{name}.pt"
        if file.exists():
            return Snapshot(**torch.load(file))
        learner = Learner(self.manifest)
        stream = Stream(texts, shards=1 << 10, shard=(1 << 10) - 1, seed=self.seed, context=self.context)
        for step in range(self.warm):
            learner.take_step(stream.take(self.warm_batch), step)
        snapshot = learner.snapshot()
        cache.mkdir(parents=True, exist_ok=True)
        partial = file.with_suffix(f".{id(snapshot)}")
        torch.save(snapshot.as_dict(), partial)
        partial.rename(file)
        return snapshot
