"""The ledger on disk: news appended as it comes, and read back through the same checks as from a stranger.

Our own votes are on disk before anybody sees them. A peer that forgot them could sign others in their place,
which is what cheats do.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from peer.errors import HomeError
from peer.swarm.ledger import Ledger
from protocol.codec import decode, encode
from protocol.errors import ProtocolError
from protocol.frames import FrameDecoder, frame
from protocol.pages import News

LONGEST = 16 * 1024
"""Bytes of one record: the evidence of two whole pages fits."""

_READ = 1 << 20


class Journal:
    """A file of news. One that ends in half a record has lost what came last, and that can be had again."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def replay(self, ledger: Ledger) -> None:
        """Bring a new ledger to where the journal ends, then write the journal anew in its shortest form.

        Raises:
            HomeError: the disk refuses.
        """
        with _home_errors(self._path):
            if self._path.exists():
                self._read_into(ledger)
            fresh = self._path.with_suffix(".new")
            with fresh.open("wb") as file:
                for voter in ledger.voters():
                    for news in ledger.parts(voter, 0):
                        file.write(frame(encode(news), LONGEST))
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self._path)

    def _read_into(self, ledger: Ledger) -> None:
        records = FrameDecoder(LONGEST)
        with self._path.open("rb") as file, suppress(ProtocolError):
            while data := file.read(_READ):
                for record in records.feed(data):
                    ledger.take(decode(record, News, LONGEST))  # type: ignore[arg-type]

    def write(self, news: Sequence[News], *, durably: bool) -> None:
        """Append; `durably` returns only once a power cut would not undo it.

        Raises:
            HomeError: the disk refuses.
        """
        with _home_errors(self._path), self._path.open("ab") as file:
            file.write(b"".join(frame(encode(each), LONGEST) for each in news))
            if durably:
                file.flush()
                os.fsync(file.fileno())


@contextmanager
def _home_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise HomeError(
            f"Cannot write the votes to {path}: {error.strerror or error}",
            "Free some space on that disk, and start again",
        ) from error
