"""The part of a stream that nobody trains on, as far as an evaluation reads."""

from collections.abc import Iterator

import torch
from torch import Tensor

from peer.errors import DataError
from peer.trainer.streams.rows import HoldOut, Rows
from peer.trainer.streams.windows import ENCODED, Encode, encode_rows

FARTHEST = 1 << 28
"""Characters of rows among which are those that are held out: a tiny share of a large stream makes do."""


def gather(
    rows: Rows, held_out: HoldOut | None, encode: Encode, end: int, *, least: int, most: int
) -> Tensor:
    """Return the first tokens, 1-D, of the rows that are held out, in the order of the files.

    Args:
        rows: of the split.
        held_out: which rows; None for all, where the whole split is.
        encode: text to tokens.
        end: the token that follows each row.
        least: tokens without which there is nothing to evaluate on.
        most: after so many, no more is read.

    Raises:
        DataError: there are fewer than `least`.
        OSError: rows cannot be read now.
        ValueError: rows are damaged.
    """
    found: list[Tensor] = []
    texts, size, total = list[str](), 0, 0
    for text in _texts(rows, held_out):
        texts.append(text)
        size += len(text)
        if size >= ENCODED or total + size >= most:
            found += encode_rows(texts, encode, end)
            total = sum(piece.numel() for piece in found)
            texts, size = [], 0
            if total >= most:
                break
    found += encode_rows(texts, encode, end)
    tokens = torch.cat(found)[:most] if found else torch.empty(0, dtype=torch.uint8)
    if tokens.numel() < least:
        raise DataError(
            f"the held-out rows of the data set have {tokens.numel()} tokens, a context needs {least}",
            "Raise data.held_out, or name a split with data.held_out_split.",
        )
    return tokens


def _texts(rows: Rows, held_out: HoldOut | None) -> Iterator[str]:
    read = 0
    for file in range(rows.files):
        for group in range(rows.groups(file)):
            for number, row in enumerate(rows.read(file, group, 0)):
                if not isinstance(row, str) or not row:
                    continue
                if held_out is None or held_out.holds(file, group, number):
                    yield row
                read += len(row)
                if read >= FARTHEST:
                    return
