"""A mixture of feeds: each position's source is drawn by its weight, by the run's seed and the peer's shard.

A draw is a function of the position alone, so a peer that goes on draws what it would have drawn.
"""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

import msgspec
import torch
from torch import Tensor

from peer.trainer.feed import TokenFeed
from peer.trainer.order import Position, scramble

_MASK = (1 << 64) - 1
_REPLAYED = 64
"""Positions that are drawn again at once, where nothing is known of them."""


class _Stand(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where each source stands before one position of the mixture."""

    index: int
    positions: tuple[Position, ...]


class _State(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    stand: _Stand
    states: tuple[bytes, ...]


class Draw:
    """Draws the source of each position."""

    def __init__(self, weights: Sequence[float], seed: int, shard: int) -> None:
        total = sum(weights)
        self._ends = [int(end / total * (1 << 64)) for end in accumulate(weights)][:-1]
        self._key = scramble(scramble(seed & _MASK) ^ shard)

    def __getitem__(self, index: int) -> int:
        """Return the number of the source at a position."""
        return bisect_right(self._ends, scramble((self._key + index) & _MASK))


class Mixture(TokenFeed):
    """Draws from several feeds. A position's index counts all examples; its pass stays 0."""

    def __init__(self, feeds: Sequence[TokenFeed], draw: Draw) -> None:
        self._feeds = feeds
        self._draw = draw
        start = _Stand(0, tuple(Position() for _ in feeds))
        self._stands = [start]
        """Before and after the last `take`."""

    def take(self, position: Position, count: int) -> tuple[Tensor, Position]:
        """Return int64 (count, context + 1).

        Raises:
            DataError: a source has nothing to train on.
        """
        stand = self._stand_at(position.index)
        places = self._places(position.index, count)
        after = list(stand.positions)
        taken: list[Tensor | None] = [None] * count
        for source, mine in places.items():
            examples, after[source] = self._feeds[source].take(after[source], len(mine))
            for place, example in zip(mine, examples, strict=True):
                taken[place] = example
        following = _Stand(position.index + count, tuple(after))
        self._stands = [stand, following]
        return torch.stack([each for each in taken if each is not None]), Position(0, following.index)

    def lacks(self, position: Position, count: int) -> str | None:
        """See `Feed`."""
        stand = self._stand_at(position.index)
        places = self._places(position.index, count)
        reasons = [
            self._feeds[source].lacks(stand.positions[source], len(mine)) for source, mine in places.items()
        ]
        return next((reason for reason in reasons if reason is not None), None)

    def state(self) -> bytes:
        """See `Feed`."""
        return msgspec.msgpack.encode(_State(self._stands[-1], tuple(feed.state() for feed in self._feeds)))

    def resume(self, state: bytes) -> None:
        """See `Feed`. What cannot be understood is left alone: the position says it all, and takes longer."""
        try:
            known = msgspec.msgpack.decode(state, type=_State)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return
        if len(known.states) == len(known.stand.positions) == len(self._feeds):
            self._stands = [known.stand]
            for feed, its in zip(self._feeds, known.states, strict=True):
                feed.resume(its)

    def close(self) -> None:
        """See `Feed`."""
        for feed in self._feeds:
            feed.close()

    def _places(self, index: int, count: int) -> dict[int, list[int]]:
        """Return for each source that is drawn the places of its examples among the next `count`."""
        places: dict[int, list[int]] = {}
        for place in range(count):
            places.setdefault(self._draw[index + place], []).append(place)
        return places

    def _stand_at(self, index: int) -> _Stand:
        for stand in self._stands:
            if stand.index == index:
                return stand
        # Only where a checkpoint's state has been lost: everything before is drawn again.
        positions = [Position() for _ in self._feeds]
        for start in range(0, index, _REPLAYED):
            for source, mine in self._places(start, min(_REPLAYED, index - start)).items():
                _, positions[source] = self._feeds[source].take(positions[source], len(mine))
        self._stands = [_Stand(index, tuple(positions))]
        return self._stands[0]
