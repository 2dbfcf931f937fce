"""Models ready to be run: a replica, the average of several, or a folder that `peer export` wrote."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
import tokenizers
import torch
from msgspec import Meta
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from peer.errors import BaseModelError, ModelError, UsageError
from peer.models import llama, tokens
from peer.models.replicas import Replicas, shapes_of
from peer.trainer.flat import trainable
from peer.trainer.hf import lora
from peer.trainer.hf.base import Base, read
from peer.trainer.hf.find import find_for
from peer.trainer.hf.net import Causal, build, read_config
from peer.trainer.model import Transformer
from protocol.foreign import Pretrained
from protocol.manifest import Model

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
TOKENIZER = "tokenizer.json"

PROVENANCE = "murmuration.json"

LONGEST = 2048
"""Tokens that a model looks back on where nothing tells how many it was trained on."""

REMEDY = "Name a folder that `peer export` wrote, or export again"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model and its tokenizer.

    Attributes:
        net: fp32, on any device, without gradients; its weights may be exchanged with `put`.
        context: the most tokens that it looks back on.
    """

    net: nn.Module
    tokenizer: tokenizers.Tokenizer
    context: int


class _Trained(msgspec.Struct, frozen=True):
    """What of `murmuration.json` is read again."""

    context: Annotated[int, Meta(ge=1)] | None = None


@torch.no_grad()
def put(weights: dict[str, Tensor], net: nn.Module) -> None:
    """Give the model other weights, of the same names and shapes, in any precision.

    A base model's own, where only adapters are trained, stay as they are.
    """
    parameters = dict(net.named_parameters())
    for name, tensor in weights.items():
        parameters[name].copy_(tensor)


def of_run(replicas: Replicas, device: torch.device) -> Loaded:
    """Return the run's model, whose weights are still to be put in, and its tokenizer.

    Raises:
        BaseModelError: the run's base model is not here, or another one is.
        CheckpointError: a checkpoint cannot be read, where its run has a base model.
        UsageError: the run trains a task, which is no language model.
        DataError: the tokenizer's file is missing, or not the run's.
        ExtraMissingError: the run has a base model, and `transformers` or `peft` is not installed.
    """
    manifest, path = replicas.manifest, replicas.tokenizer_path
    if manifest.task:
        raise UsageError(
            f"This run trains the task {manifest.task.name}, which neither reads nor writes text",
            "See how it does with `peer evaluate`, without a file; take the weights out with `peer export`",
        )
    if manifest.model.pretrained:
        base = find_for(manifest.model.pretrained, replicas.places.model)
        net: nn.Module = with_base(replicas, manifest.model.pretrained, base)
        path = path or base.tokenizer
    else:
        net = Transformer(manifest.model, manifest.tokenizer.vocabulary)
    content = tokens.tokenizer_json(manifest.tokenizer, path)
    return Loaded(_still(net, device), tokens.parse(content), manifest.model.context)


def with_base(replicas: Replicas, wanted: Pretrained, base: Base) -> Causal:
    """Return the base model as the run trains it: whole, or frozen with adapters; their weights are not in.

    Raises:
        BaseModelError: the releases of `transformers` or `peft` here make another model of it.
        CheckpointError: a checkpoint cannot be read.
        ExtraMissingError: one of them is not installed.
    """
    net = build(base, wanted.lora, replicas.manifest.seed)
    ours = {name: tuple(parameter.shape) for name, parameter in trainable(net).items()}
    if ours != shapes_of(replicas.manifest, replicas.members[0]):
        raise BaseModelError(
            f"the weights of {base.source} have other names or shapes here than in the run's checkpoints",
            "Update transformers and peft to the run's releases",
        )
    return net


def of_folder(folder: Path, device: torch.device) -> Loaded:
    """Return the model that was exported to `folder`, or any that `transformers` has saved there.

    Raises:
        ExtraMissingError: it is not of our own architecture, and `transformers` is not installed.
        ModelError: there is none, or it is damaged.
    """
    if (folder / lora.CONFIG).exists():
        raise ModelError(
            f"{folder} holds adapters, which are no model without their base",
            "Name the homes in its place, or export with --merge",
        )
    with _reading(folder, CONFIG) as file:
        content = file.read_bytes()
    try:
        model, vocabulary = llama.parse(content)
    except ModelError:
        return _of_transformers(folder, device)
    with _reading(folder, TOKENIZER) as file:
        tokenizer = tokens.parse(file.read_bytes())
    return Loaded(_still(_build(folder, model, vocabulary), device), tokenizer, model.context)


def _of_transformers(folder: Path, device: torch.device) -> Loaded:
    with _reading(folder, TOKENIZER) as file:
        tokenizer = tokens.parse(file.read_bytes())
    try:
        base = read(folder, folder.name, None)
        net, config = build(base, None, 0), read_config(base)
    except BaseModelError as error:
        raise ModelError(f"{folder} cannot be used: {error.message}", error.remedy) from error
    # Models without positions have no such limit.
    longest = getattr(config.get_text_config(), "max_position_embeddings", None) or LONGEST
    return Loaded(_still(net, device), tokenizer, min(_context(folder) or LONGEST, longest))


def _context(folder: Path) -> int | None:
    """Return the tokens of a sequence that an exported model was trained on."""
    try:
        return msgspec.json.decode((folder / PROVENANCE).read_bytes(), type=_Trained).context
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _still(net: nn.Module, device: torch.device) -> nn.Module:
    return net.to(device).requires_grad_(requires_grad=False)


def _build(folder: Path, model: Model, vocabulary: int) -> Transformer:
    with torch.device("meta"):
        shapes = {name: one.shape for name, one in Transformer(model, vocabulary).named_parameters()}
    with _reading(folder, WEIGHTS) as file:
        stored = load_file(file)
    found = {name.removeprefix(llama.PREFIX): tensor for name, tensor in stored.items()}
    if {name: tensor.shape for name, tensor in found.items()} != shapes:
        raise ModelError(f"{folder / WEIGHTS} is not of the model that {CONFIG} describes", REMEDY)
    net = Transformer(model, vocabulary)
    put(found, net)
    return net


@contextmanager
def _reading(folder: Path, name: str) -> Iterator[Path]:
    try:
        yield folder / name
    except FileNotFoundError as error:
        raise ModelError(f"{folder} holds no exported model: {name} is missing", REMEDY) from error
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{folder / name} cannot be read: {error}", REMEDY) from error
