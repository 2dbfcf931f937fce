"""The weights that a set of votes makes: first weights plus a sum in integers, which no order can change."""

from collections.abc import Iterable

import torch
from torch import Tensor

from peer.trainer.onebyte.directions import add_directions
from protocol.manifest import Manifest
from protocol.trainer import Log
from protocol.votes import ONE, direction_key, rate, weighted


class Tally:
    """Adds up votes, each exactly once: it remembers every byte that is in its sum.

    Attributes:
        first: the first weights, flat fp32.
        total: the weighted sum of all directions, flat int64.
        logs: the votes in it, by voter (raw public key).
    """

    def __init__(self, manifest: Manifest, first: Tensor) -> None:
        self._manifest = manifest
        self._scale = -manifest.onebyte.learning_rate * manifest.inner.clip / ONE
        self.first = first
        self.total = torch.zeros(first.numel(), dtype=torch.int64, device=first.device)
        self.logs: dict[bytes, bytes] = {}

    def take(self, news: Iterable[Log]) -> int:
        """Make each log what the news says, and return how many votes were added, withdrawn or replaced."""
        keys: list[int] = []
        weights: list[int] = []
        for log in news:
            self._compare(log, keys, weights)
        add_directions(self.total, keys, weights)
        return len(keys)

    def _compare(self, log: Log, keys: list[int], weights: list[int]) -> None:
        """Collect what must be added for one voter: the new less the old at every place where they differ."""
        before = self.logs.get(log.voter, b"")
        after = before[: log.start] + log.votes
        for position in range(log.start, max(len(before), len(after))):
            old, new = (votes[position] if position < len(votes) else 0 for votes in (before, after))
            if old != new:
                keys.append(direction_key(self._manifest.seed, log.voter, position))
                weights.append(self._weight(new, position) - self._weight(old, position))
        self.logs[log.voter] = after

    def _weight(self, byte: int, position: int) -> int:
        return weighted(byte, rate(self._manifest.inner, position // self._manifest.onebyte.samples))

    @torch.no_grad()
    def write_weights(self, out: Tensor) -> None:
        """Write the weights to flat fp32 `out`: equal bits wherever first weights and votes are equal."""
        out.copy_(self.total)
        # Two operations with a rounding each: one that fuses them would round otherwise on some devices.
        out.mul_(self._scale)
        out.add_(self.first)
