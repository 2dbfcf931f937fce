"""A peer's windows of a stream: any position is found again, the last one without reading all before it."""

import msgspec
import torch
from torch import Tensor

from peer.trainer.feed import TokenFeed
from peer.trainer.order import Position
from peer.trainer.streams.ahead import Ahead
from peer.trainer.streams.windows import Mark, Windows


class _Place(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a block begins."""

    number: int = 0
    mark: Mark = Mark()


class Stream(TokenFeed):
    """Gives windows of a stream. A position's index counts them; its pass stays 0."""

    def __init__(self, windows: Windows, size: int) -> None:
        self._ahead = Ahead(windows)
        self._size = size
        """Windows of a block."""
        self._known = _Place()
        """Where the next window's block begins: the last one that can be found at once."""
        self._reading = False

    def take(self, position: Position, count: int) -> tuple[Tensor, Position]:
        """Return int64 (count, context + 1); wait for it where it has not been read yet.

        Raises:
            DataError: there is no row to train on.
        """
        first, last = self._turn_to(position, count)
        blocks = self._ahead.get(first, last)
        after = position.index + count
        parts = [
            block.windows[max(0, position.index - start) : after - start]
            for block in blocks
            for start in (block.number * self._size,)
        ]
        following = after // self._size
        mark = blocks[-1].after if following > last else blocks[-1].mark
        self._known = _Place(following, mark)
        return torch.cat(parts).to(torch.int64), Position(position.pass_, after)

    def lacks(self, position: Position, count: int) -> str | None:
        """See `Feed`."""
        return None if self._ahead.has(*self._turn_to(position, count)) else self._ahead.reason

    def state(self) -> bytes:
        """See `Feed`: where the block of the next window begins."""
        return msgspec.json.encode(self._known)

    def resume(self, state: bytes) -> None:
        """See `Feed`. What cannot be understood is left alone: the position says it all, and takes longer."""
        try:
            self._known = msgspec.json.decode(state, type=_Place)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            self._known = _Place()
        self._reading = False

    def close(self) -> None:
        """See `Feed`."""
        self._ahead.close()

    def _turn_to(self, position: Position, count: int) -> tuple[int, int]:
        """See that so many windows from here on are what is being read; return their first and last block."""
        first, last = position.index // self._size, (position.index + count - 1) // self._size
        if not self._reading or first < self._ahead.first:
            place = self._known if self._known.number <= first else _Place()
            self._ahead.seek(place.number, place.mark)
            self._reading = True
        return first, last
