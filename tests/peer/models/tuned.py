"""Homes of peers that have really trained a few steps on a base model of `transformers`."""

from pathlib import Path

import torch

from peer.daemon.settings import Remembered, remember
from peer.models.replicas import Replica, Replicas
from peer.trainer import checkpoint, sources
from peer.trainer.describe import describe
from peer.trainer.replica import Replica as Trainer
from peer.trainer.work import Places, load
from protocol.codec import encode
from protocol.describe import AskPretrained
from protocol.foreign import Lora
from protocol.manifest import Model, sign
from tests import base_models
from tests.peer.models.homes import FOUNDER, signed
from tests.peer.trainer import tiny

TEXT = sources.embedded("austen")[:6000]


def train_run(folder: Path, kind: str, lora: Lora | None) -> Replicas:
    """Make a base model in `folder/base`, and the homes `folder/peer-0` and `peer-1` of a run on it."""
    base = folder / "base"
    base.mkdir()
    base_models.write_tokenizer(base, TEXT.decode())
    base_models.save(getattr(base_models, kind)(), base)
    (base / "tokenizer_config.json").write_text('{"its": "own"}')
    found = describe(AskPretrained(source=str(base), revision=None, lora=lora, context=32))
    assert found.tokenizer is not None
    assert found.pretrained is not None
    manifest = signed(model=Model(context=32, pretrained=found.pretrained), tokenizer=found.tokenizer)
    members = []
    for shard in range(2):
        one = Trainer(manifest, load(manifest, Places(model=str(base)), shard), torch.device("cpu"))
        tiny.train(one, 8)
        home = folder / f"peer-{shard}"
        path = checkpoint.save(home / "checkpoints", tiny.run_id(manifest), one.contents())
        (home / "manifest").write_bytes(encode(sign(manifest, FOUNDER)))
        remember(home, Remembered(model_path=str(base)))
        members.append(Replica(home.name, path, one.counters))
    return Replicas(tiny.run_id(manifest).hex(), manifest, Places(model=str(base)), tuple(members))
