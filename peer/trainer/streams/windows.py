"""Rows become windows: their tokens, each row's followed by one that ends it, end to end, cut into windows.

Windows come in blocks, and in a block their order is drawn from the run's seed. A block is found again by
where it begins, so nothing of what has been read ahead, or shuffled, has to be kept.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import msgspec
import torch
from torch import Tensor

from peer.trainer.order import Permutation
from peer.trainer.streams.rows import Cursor, Deal

AT_LEAST = 64
"""Windows in a block, so that small ones are worth the while."""

ENCODED = 256 * 1024
"""Characters that become tokens at once; longer rows are cut. A tokenizer takes a hundred bytes for each."""

Encode = Callable[[list[str]], list[Tensor]]
"""Returns the tokens of each text, 1-D."""


class Mark(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a block begins: in which row, and after how many of its tokens."""

    cursor: Cursor = Cursor()
    skip: int = 0


@dataclass(frozen=True, slots=True)
class Block:
    """Windows that were read, and shuffled, together.

    Attributes:
        number: counted from the beginning of the stream.
        mark: where it begins.
        after: where the next one does.
        windows: (size, context + 1), of the tokenizer's dtype.
    """

    number: int
    mark: Mark
    after: Mark
    windows: Tensor


class Shape(msgspec.Struct, frozen=True):
    """How windows are made.

    Attributes:
        context: tokens of a window, less the last one, which is but a target.
        end: the token that follows each row.
        shuffle: windows among which the order is drawn.
        seed: of that order.
    """

    context: int
    end: int
    shuffle: int
    seed: int

    @property
    def size(self) -> int:
        """Windows of a block."""
        return self.shuffle * max(1, AT_LEAST // self.shuffle)


class Windows:
    """Makes block after block. After an error it may be asked again, and goes on where it was."""

    def __init__(self, deal: Deal, encode: Encode, shape: Shape) -> None:
        self._deal = deal
        self._encode = encode
        self._shape = shape
        self.seek(0, Mark())

    def seek(self, number: int, mark: Mark) -> None:
        """Go on with the block of this number, which begins there."""
        self._number, self._skip = number, mark.skip
        self._pieces: list[tuple[Cursor, Tensor]] = []
        """Tokens that no block has used up, each with the cursor of its row."""
        self._held = -mark.skip
        self._next = mark.cursor
        self._rows: Iterator[tuple[Cursor, str]] | None = None

    def pass_over(self) -> None:
        """Leave out what could not be read: the rest of a group of rows, or a file."""
        self._next, self._rows = self._deal.beyond, None

    def next(self) -> Block:
        """Return the next block.

        Raises:
            DataError: there is no row to train on.
            OSError: rows cannot be read now.
            ValueError: rows are damaged.
        """
        shape = self._shape
        needed = shape.size * shape.context + 1
        while self._held < needed:
            self._read(min(needed - self._held, ENCODED))
        tokens = torch.cat([piece for _, piece in self._pieces])[self._skip :]
        mark = Mark(self._pieces[0][0], self._skip)
        after = self._use(shape.size * shape.context)
        windows = tokens[:needed].unfold(0, shape.context + 1, shape.context)
        block = Block(self._number, mark, after, windows[self._order()].contiguous())
        self._number += 1
        return block

    def _use(self, count: int) -> Mark:
        """Let go of so many tokens, and return where the first one stands that is left."""
        self._held -= count
        skip = self._skip + count
        used = 0
        while skip >= self._pieces[used][1].numel():
            skip -= self._pieces[used][1].numel()
            used += 1
        del self._pieces[:used]
        self._skip = skip
        return Mark(self._pieces[0][0], skip)

    def _order(self) -> list[int]:
        shuffle, number = self._shape.shuffle, self._number
        places: list[int] = []
        for start in range(0, self._shape.size, shuffle):
            key = b"murmuration stream order %d %d %d" % (self._shape.seed, number, start)
            order = Permutation(shuffle, key)
            places += [start + order[place] for place in range(shuffle)]
        return places

    def _read(self, least: int) -> None:
        """Take some more rows, until they have `least` characters."""
        if self._rows is None:
            self._rows = self._deal.read(self._next)
        texts, cursors, size = list[str](), list[Cursor](), 0
        try:
            while size < least:
                after, text = next(self._rows)
                texts.append(text)
                cursors.append(self._next)
                self._next, size = after, size + len(text)
        except Exception:
            # A generator that has raised is at its end: another goes on after the last row that was taken.
            self._rows = None
            raise
        finally:
            tokens = encode_rows(texts, self._encode, self._shape.end)
            self._pieces += zip(cursors, tokens, strict=True)
            self._held += sum(row.numel() for row in tokens)


def encode_rows(texts: list[str], encode: Encode, end: int) -> list[Tensor]:
    """Return the tokens of each row, the one that ends it included."""
    tokens = iter(encode([text for text in texts if len(text) <= ENCODED]))
    rows: list[Tensor] = []
    for text in texts:
        starts = range(0, len(text), ENCODED)
        parts = (
            [next(tokens)] if len(starts) == 1 else [encode([text[at : at + ENCODED]])[0] for at in starts]
        )
        rows.append(torch.cat((*parts, torch.tensor([end], dtype=parts[0].dtype))))
    return rows
