"""Loss on text that nobody trains on: of one set of weights, of several peers, and of their mean."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from peer.trainer import checkpoint, data, sources, tokenizer
from peer.trainer.first_weights import load_first_weights
from peer.trainer.flat import flatten
from peer.trainer.model import build
from protocol.manifest import Manifest

WINDOWS = 256
"""Held-out windows or examples of one evaluation, at the most: the same ones each time and for all, so that
differences are paired."""

BATCH = 16


@dataclass(frozen=True, slots=True)
class Losses:
    """Losses in nats a token, all over the same windows.

    Attributes:
        start: of the first weights, from the manifest's seed or its file.
        replicas: of each peer's weights, in the order given.
        average: of the mean of the peers' weights: the swarm's model.
    """

    start: float
    replicas: tuple[float, ...]
    average: float


@torch.no_grad()
def held_out_loss(net: nn.Module, tokens: Tensor, context: int, windows: int = WINDOWS) -> float:
    """Return the mean loss, nats a token, over `windows` evenly spaced windows of 1-D `tokens`, in fp32."""
    available = data.window_count(tokens, context)
    chosen = evenly(available, windows)
    count = len(chosen)
    device = next(net.parameters()).device
    total = 0.0
    for start in range(0, count, BATCH):
        part = chosen[start : start + BATCH]
        total += float(net(data.batch(tokens, part, context).to(device))) * len(part)
    return total / count


def evenly(available: int, most: int) -> list[int]:
    """Return at most so many of the numbers below `available`, evenly spaced: the same ones each time."""
    count = min(most, available)
    return [(2 * i + 1) * available // (2 * count) for i in range(count)]


def evaluate_replicas(
    checkpoints: Sequence[Path],
    manifest: Manifest,
    tokens: Tensor,
    windows: int = WINDOWS,
    first_weights: Path | None = None,
) -> Losses:
    """Evaluate the first weights, each checkpoint's, and the mean of the checkpoints', on the CPU.

    Args:
        checkpoints: folders of single checkpoints, such as `home/checkpoints/step-00000200`; at least one.
        manifest: the run that they are of.
        tokens: 1-D, from `held_out_tokens` or `austen_tokens`.
        windows: how many evenly spaced windows of `tokens` to average over.
        first_weights: the file that the manifest names, if it names one.

    Raises:
        CheckpointError: one is damaged, or of another model.
    """
    net = build(manifest.model, manifest.tokenizer.vocabulary, manifest.seed)
    load_first_weights(manifest.model, first_weights, net)
    return compare(checkpoints, net, lambda: held_out_loss(net, tokens, manifest.model.context, windows))


@torch.no_grad()
def compare(checkpoints: Sequence[Path], net: nn.Module, loss: Callable[[], float]) -> Losses:
    """Evaluate a net as it is, with each checkpoint's weights, and with their mean, in which it is left.

    Args:
        checkpoints: at least one.
        net: of their model.
        loss: evaluates it.

    Raises:
        CheckpointError: one is damaged, or of another model.
    """
    flat = flatten(net)
    first = loss()
    mean = torch.zeros_like(flat)
    losses: list[float] = []
    for folder in checkpoints:
        checkpoint.load_weights(folder, net)
        losses.append(loss())
        mean.add_(flat, alpha=1 / len(checkpoints))
    flat.copy_(mean)
    return Losses(start=first, replicas=tuple(losses), average=loss())


def held_out_tokens(manifest: Manifest, path: Path | None, tokenizer_path: Path | None) -> Tensor:
    """Return the run's held-out tokens.

    Raises:
        DataError: as `data.load`.
    """
    return data.load(manifest, path, tokenizer_path).held_out


def austen_tokens(manifest: Manifest, tokenizer_path: Path | None) -> Tensor:
    """Return six novels that no run trains on, as the run's tokens.

    Raises:
        DataError: as `tokenizer.load`.
    """
    return tokenizer.load(manifest.tokenizer, tokenizer_path).encode([sources.embedded("austen")])[0]
