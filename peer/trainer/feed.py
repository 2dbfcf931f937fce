"""What a replica trains on, batch after batch: one peer's part of the data, in an order that is its own."""

from typing import Protocol

from torch import Tensor

from peer.trainer import data
from peer.trainer.order import Order, Position
from protocol.manifest import Manifest

Batch = Tensor | tuple[Tensor, ...] | dict[str, Tensor]
"""Examples side by side, on the CPU: their first dimension counts them."""


class Feed(Protocol):
    """Gives batches from any position on. `take` alone moves nothing: a checkpoint keeps the position."""

    def take(self, position: Position, count: int) -> tuple[Batch, Position]:
        """Return the next `count` examples from `position` on, and the position after them."""

    def state(self) -> bytes:
        """Return what helps to find the place after the last `take` again; empty where nothing is needed."""

    def resume(self, state: bytes) -> None:
        """Hear what `state` returned when the checkpoint was written that is gone on from."""

    def lacks(self, position: Position, count: int) -> str | None:
        """Return why `take` would have to wait for these, in plain words; None where it would not."""
        del position, count
        return None

    def close(self) -> None:
        """Read nothing more."""
        return


class TokenFeed(Feed, Protocol):
    """Gives windows of tokens."""

    def take(self, position: Position, count: int) -> tuple[Tensor, Position]:
        """Return int64 (count, context + 1): see `Feed`."""


class Windows(TokenFeed):
    """Windows of a corpus of tokens."""

    def __init__(self, manifest: Manifest, tokens: Tensor, shard: int) -> None:
        self._tokens = tokens
        self._context = manifest.model.context
        windows = data.window_count(tokens, self._context)
        self._order = Order(windows, manifest.data.shards, shard, manifest.seed)

    def take(self, position: Position, count: int) -> tuple[Tensor, Position]:
        """Return int64 (count, context + 1)."""
        windows, after = self._order.take(position, count)
        return data.batch(self._tokens, windows, self._context), after

    def state(self) -> bytes:
        """See `Feed`: any window is found by its number."""
        return b""

    def resume(self, state: bytes) -> None:
        """See `Feed`."""
