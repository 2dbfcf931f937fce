"""Rows of text, whatever holds them, and which of them a peer reads: its shard's, less what is held out.

Rows stand in files, and in a file in groups, which can be opened one by one. Files are dealt to shards as
windows of a corpus are: a peer that was dealt shard k reads shard (k + e) mod S in pass e. Where there are
fewer files than shards, several shards share one: each takes groups of its own, or, where these are too few,
every n-th row.
"""

from collections.abc import Iterator
from typing import Protocol

import msgspec

from peer.errors import DataError
from peer.trainer.order import Permutation, scramble

HASHED = 1 << 64


class Rows(Protocol):
    """Rows of text, in files and groups of files.

    Attributes:
        files: how many there are.
    """

    files: int

    def groups(self, file: int) -> int:
        """Return how many groups the file has.

        Raises:
            OSError: it cannot be read now; another try may.
            ValueError: it is damaged.
        """

    def read(self, file: int, group: int, start: int) -> Iterator[object]:
        """Yield the rows of a group from row `start` on; what is no text is no row to train on.

        Raises:
            OSError: as `groups`, at any row.
            ValueError: as `groups`, at any row.
        """


class Cursor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a shard's reading stands.

    Attributes:
        pass_: once through a shard.
        share: of those that the pass reads.
        group: of those that the share reads.
        row: of the group, the next one.
        before: rows of the file before the group.
    """

    pass_: int = 0
    share: int = 0
    group: int = 0
    row: int = 0
    before: int = 0


class HoldOut:
    """Which rows nobody trains on: drawn from the run's seed, row by row, so that all peers know them."""

    def __init__(self, share: float, seed: int) -> None:
        self._below = int(share * HASHED)
        self._key = scramble(seed & (HASHED - 1))

    def holds(self, file: int, group: int, row: int) -> bool:
        """Whether nobody trains on this row."""
        if not self._below:
            return False
        value = self._key
        for number in (file, group, row):
            value = scramble(value ^ number)
        return value < self._below


class Deal:
    """Reads the rows of one shard.

    Attributes:
        beyond: where reading goes on if it leaves out what it reads now: a group, or a file that is no good.
    """

    def __init__(self, rows: Rows, shards: int, shard: int, seed: int, held_out: HoldOut) -> None:
        self._rows = rows
        self._shards, self._shard = shards, shard % shards
        self._ways = -(-shards // rows.files)
        self._order = Permutation(rows.files, b"murmuration file order %d" % seed)
        self._held_out = held_out
        self.beyond = Cursor()

    def read(self, cursor: Cursor) -> Iterator[tuple[Cursor, str]]:
        """Yield rows that are trained on from `cursor` on, for ever, each with the cursor after it.

        Raises:
            DataError: a whole turn over all shards finds none.
            OSError: as `Rows`.
            ValueError: as `Rows`.
        """
        empty = 0
        while True:
            number = (self._shard + cursor.pass_) % self._shards + cursor.share * self._shards
            if number >= self._ways * self._rows.files:
                empty += 1
                if empty > self._shards:
                    raise DataError(
                        "the data set has no row of text to train on", "Check data.column and data.split."
                    )
                cursor = Cursor(cursor.pass_ + 1)
                continue
            for after, text in self._read_share(cursor, number):
                empty = 0
                yield after, text
            cursor = Cursor(cursor.pass_, cursor.share + 1)

    def _read_share(self, cursor: Cursor, number: int) -> Iterator[tuple[Cursor, str]]:
        ways, file = self._ways, self._order[number % self._rows.files]
        mine = number // self._rows.files
        self.beyond = Cursor(cursor.pass_, cursor.share + 1)
        groups = self._rows.groups(file)
        # With enough groups each way has its own, and reads no other; else each reads all and takes its rows.
        whole = groups >= ways
        own = range(mine, groups, ways) if whole else range(groups)
        for place in range(cursor.group, len(own)):
            if place > cursor.group:
                cursor = _next_group(cursor)
            self.beyond = _next_group(cursor)
            for row in self._rows.read(file, own[place], cursor.row):
                taken = whole or (cursor.before + cursor.row) % ways == mine
                held = self._held_out.holds(file, own[place], cursor.row)
                cursor = msgspec.structs.replace(cursor, row=cursor.row + 1)
                self.beyond = _next_group(cursor)
                if taken and not held and isinstance(row, str) and row:
                    yield cursor, row


def _next_group(cursor: Cursor) -> Cursor:
    return Cursor(cursor.pass_, cursor.share, cursor.group + 1, 0, cursor.before + cursor.row)
