"""A `onebyte` run over the tiny model, and first weights that have learned something for it."""

from functools import cache
from pathlib import Path

import torch
from msgspec.structs import replace
from safetensors.torch import save_file
from torch import Tensor

from peer.trainer.model import Transformer, build
from peer.trainer.onebyte.voter import Voter
from peer.trainer.sources import file_hash
from peer.trainer.work import on_tokens
from protocol.manifest import Inner, Manifest, OneByte, Outer
from tests.peer.trainer.tiny import MODEL, corpus, manifest, replica, train

ME, OTHER = bytes([1] * 32), bytes([2] * 32)


def run(**inner: object) -> Manifest:
    return replace(
        manifest("onebyte"),
        inner=replace(Inner(batch=4, steps=300, warmup=0, final_ratio=1.0), **inner),
        onebyte=OneByte(learning_rate=1e-3),
        outer=Outer(preset="onebyte"),
    )


@cache
def trained() -> dict[str, Tensor]:
    """The tiny model after 30 steps of AdamW on the embedded text."""
    one = replica(manifest("solo"))
    train(one, 30)
    return {name: parameter.detach().clone() for name, parameter in one.net.named_parameters()}


def base() -> Transformer:
    net = build(MODEL, 256, 0)
    net.load_state_dict(trained(), strict=False)
    return net


def write_base(folder: Path, tensors: dict[str, Tensor] | None = None) -> tuple[Path, bytes]:
    path = folder / "base.safetensors"
    save_file(tensors or trained(), path)
    return path, file_hash(path)


def voter(manifest: Manifest, key: bytes = ME, shard: int = 0) -> Voter:
    return Voter(manifest, on_tokens(manifest, base(), corpus(), shard), key, torch.device("cpu"))


def bits(values: Tensor) -> Tensor:
    return values.view(torch.int32)
