"""One replica: the trainer's own model, inner optimiser and order of the text, without files and frames."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from peer.trainer import data
from peer.trainer.flat import flatten
from peer.trainer.inner import InnerOptimiser
from peer.trainer.model import Transformer, build
from peer.trainer.order import Order, Position
from protocol.manifest import Manifest

Loss = Callable[[Transformer, Tensor], Tensor]


@dataclass(frozen=True)
class Snapshot:
    """What a replica's training goes on from, but for the outer state."""

    theta: Tensor
    first: Tensor
    second: Tensor
    own_steps: int

    def as_dict(self) -> dict[str, Tensor | int]:
        """Return the fields by name."""
        return {
            "theta": self.theta,
            "first": self.first,
            "second": self.second,
            "own_steps": self.own_steps,
        }


class Stream:
    """Batches of windows, an equal share from each text."""

    def __init__(self, texts: list[Tensor], shards: int, shard: int, seed: int, context: int) -> None:
        self._texts = texts
        self._context = context
        self._orders = [
            Order(data.window_count(text, context), shards, shard, seed + 1000 * i)
            for i, text in enumerate(texts)
        ]
        self._positions = [Position() for _ in texts]
        self._turn = 0

    def take(self, count: int) -> Tensor:
        """Return the next batch: int64 (count, context + 1)."""
        share, rest = divmod(count, len(self._texts))
        parts = []
        for i, (text, order) in enumerate(zip(self._texts, self._orders, strict=True)):
            wanted = share + (((i + self._turn) % len(self._texts)) < rest)
            windows, self._positions[i] = order.take(self._positions[i], wanted)
            if windows:
                parts.append(data.batch(text, windows, self._context))
        self._turn += 1
        return torch.cat(parts)


class Learner:
    """A model with its inner optimiser."""

    def __init__(self, manifest: Manifest, loss: Loss | None = None) -> None:
        self.net = build(manifest.model, manifest.tokenizer.vocabulary, manifest.seed)
        self.theta = flatten(self.net)
        self._inner = InnerOptimiser(self.net, self.theta, manifest.inner)
        self._loss = loss or Transformer.__call__
        self.own_steps = 0

    def take_step(self, tokens: Tensor, step: int) -> None:
        """Train on one batch at the rate that the schedule has for the run's inner step `step`."""
        torch.autograd.backward(self._loss(self.net, tokens))
        self._inner.step(step, self.own_steps)
        self.own_steps += 1

    def snapshot(self) -> Snapshot:
        """Copy the state."""
        return Snapshot(
            self.theta.clone(), self._inner.first.clone(), self._inner.second.clone(), self.own_steps
        )

    @torch.no_grad()
    def restore(self, state: Snapshot) -> None:
        """Go on from a copied state."""
        self.theta.copy_(state.theta)
        self._inner.restore(state.first, state.second, state.own_steps)
        self.own_steps = state.own_steps
