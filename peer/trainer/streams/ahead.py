"""Reads blocks of windows ahead of training, in a thread of its own: one more than is asked for, no more."""

import logging
from concurrent.futures import Future, ThreadPoolExecutor

from peer.trainer.streams.patience import Patience, UnreachableError
from peer.trainer.streams.windows import Block, Mark, Windows

TRIES = 3
"""Tries at rows that are damaged: what broke on the way comes whole the next time."""

_log = logging.getLogger(__name__)


class Ahead:
    """Holds blocks that follow each other. All methods but those of its thread are for one thread."""

    def __init__(self, windows: Windows) -> None:
        self._windows = windows
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="data")
        self._patience = Patience(self._heard)
        self._reason: str | None = None
        self._reading: Future[Block] | None = None
        self._blocks: dict[int, Block] = {}
        self._first = self._next = 0
        self._damaged = 0
        """Tries in a row at rows that are damaged."""

    def seek(self, number: int, mark: Mark) -> None:
        """Begin anew with the block of this number, which begins there."""
        if self._reading is not None:
            self._reading.exception()
        self._windows.seek(number, mark)
        self._blocks.clear()
        self._reading = None
        self._first = self._next = number

    @property
    def first(self) -> int:
        """The first block that can still be had."""
        return self._first

    def has(self, first: int, last: int) -> bool:
        """Whether these blocks are here, or never will be; if neither, they are being read.

        Blocks before `first` are let go.
        """
        return self._advance(first, last) or (self._reading is not None and self._reading.done())

    def get(self, first: int, last: int) -> list[Block]:
        """Return these blocks, as soon as they are here.

        Raises:
            DataError: there is no row to train on.
        """
        while not self._advance(first, last):
            if self._reading is not None:
                self._reading.result()
        return [self._blocks[number] for number in range(first, last + 1)]

    @property
    def reason(self) -> str:
        """Why the next block is not here, in plain words."""
        return self._reason or "the next text is being read"

    def close(self) -> None:
        """Read no more. What is under way in the thread may take until its own time limit."""
        self._patience.end()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _advance(self, first: int, last: int) -> bool:
        """Take what has been read, have the next one read, and return whether all these are here."""
        self._first = max(self._first, first)
        reading = self._reading
        if reading is not None and reading.done() and reading.exception() is None:
            block = reading.result()
            self._blocks[block.number] = block
            self._reading, self._next = None, block.number + 1
        for number in [number for number in self._blocks if number < self._first]:
            del self._blocks[number]
        if self._reading is None and self._next <= last + 1:
            self._reading = self._thread.submit(self._read)
        return last < self._next

    # ---- in the thread

    def _heard(self, reason: str | None) -> None:
        self._reason = reason

    def _read(self) -> Block:
        return self._patience(self._try)

    def _try(self) -> Block:
        while True:
            try:
                block = self._windows.next()
            except OSError:
                raise
            except ValueError as error:
                self._damaged += 1
                if self._damaged < TRIES:
                    raise UnreachableError(str(error), "") from error
                _log.warning("rows are left out that cannot be read: %s", error)
                self._windows.pass_over()
                self._damaged = 0
            else:
                self._damaged = 0
                return block
