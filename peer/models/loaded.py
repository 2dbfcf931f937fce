"""Models ready to be run: a replica, the average of several, or a folder that `peer export` wrote."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import tokenizers
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from peer.errors import ModelError, UsageError
from peer.models import llama, tokens
from peer.models.replicas import Replicas
from peer.trainer.model import Transformer
from protocol.manifest import Model

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
TOKENIZER = "tokenizer.json"

REMEDY = "Name a folder that `peer export` wrote, or export again"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model and its tokenizer.

    Attributes:
        net: fp32, on any device, without gradients; its weights may be exchanged with `put`.
        context: the most tokens that it looks back on.
    """

    net: Transformer
    tokenizer: tokenizers.Tokenizer
    context: int


@torch.no_grad()
def put(weights: dict[str, Tensor], net: Transformer) -> None:
    """Give the model other weights, of the same names and shapes, in any precision."""
    for name, parameter in net.named_parameters():
        parameter.copy_(weights[name])


def of_run(replicas: Replicas, device: torch.device) -> Loaded:
    """Return the run's model, whose weights are still to be put in, and its tokenizer.

    Raises:
        UsageError: the run trains a task, which is no language model.
        DataError: the tokenizer's file is missing, or not the run's.
    """
    manifest = replicas.manifest
    if manifest.task:
        raise UsageError(
            f"This run trains the task {manifest.task.name}, which neither reads nor writes text",
            "See how it does with `peer evaluate`, without a file; take the weights out with `peer export`",
        )
    content = tokens.tokenizer_json(manifest.tokenizer, replicas.tokenizer_path)
    net = Transformer(manifest.model, manifest.tokenizer.vocabulary).to(device)
    return Loaded(net.requires_grad_(requires_grad=False), tokens.parse(content), manifest.model.context)


def of_folder(folder: Path, device: torch.device) -> Loaded:
    """Return the model that was exported to `folder`.

    Raises:
        ModelError: nothing was, or not by us, or it is damaged.
    """
    with _reading(folder, CONFIG) as file:
        content = file.read_bytes()
    try:
        model, vocabulary = llama.parse(content)
    except ModelError as error:
        raise ModelError(f"{folder} cannot be used: {error.message}", error.remedy) from error
    with _reading(folder, TOKENIZER) as file:
        tokenizer = tokens.parse(file.read_bytes())
    net = _build(folder, model, vocabulary).to(device)
    return Loaded(net, tokenizer, model.context)


def _build(folder: Path, model: Model, vocabulary: int) -> Transformer:
    with torch.device("meta"):
        shapes = {name: one.shape for name, one in Transformer(model, vocabulary).named_parameters()}
    with _reading(folder, WEIGHTS) as file:
        stored = load_file(file)
    found = {name.removeprefix(llama.PREFIX): tensor for name, tensor in stored.items()}
    if {name: tensor.shape for name, tensor in found.items()} != shapes:
        raise ModelError(f"{folder / WEIGHTS} is not of the model that {CONFIG} describes", REMEDY)
    net = Transformer(model, vocabulary).requires_grad_(requires_grad=False)
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
