"""Homes of small peers that have really trained a few steps, as a swarm leaves them behind."""

from pathlib import Path

import msgspec
import torch

from peer.models.replicas import Replica, Replicas
from peer.trainer import checkpoint, data
from peer.trainer.replica import Replica as Trainer
from peer.trainer.work import Places, Work, plain
from protocol.codec import encode
from protocol.identity import Identity
from protocol.manifest import Manifest, sign
from tests.peer.trainer import tiny

FOUNDER = Identity(bytes(32))


def signed(**changed) -> Manifest:
    return msgspec.structs.replace(tiny.manifest(), founder=FOUNDER.public_key, **changed)


def make_home(
    folder: Path,
    run: Manifest,
    shard: int,
    steps: int,
    tokenizer: Path | None = None,
    work: Work | None = None,
) -> Path:
    """A home whose peer has trained so many steps; on a text of the run's own tokenizer where it has one."""
    corpus = data.load(run, None, tokenizer) if tokenizer else tiny.corpus()
    one = Trainer(run, work or plain(run, corpus, shard), torch.device("cpu"))
    tiny.train(one, steps)
    checkpoint.save(folder / "checkpoints", tiny.run_id(run), one.contents())
    (folder / "manifest").write_bytes(encode(sign(run, FOUNDER)))
    return folder


def replicas(homes: list[Path], run: Manifest, tokenizer: Path | None = None) -> Replicas:
    members = []
    for home in homes:
        saved = checkpoint.newest_weights(home / "checkpoints")
        assert saved is not None
        members.append(Replica(home.name, saved.path, saved.counters))
    return Replicas(tiny.run_id(run).hex(), run, Places(tokenizer=tokenizer), tuple(members))
