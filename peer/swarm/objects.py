"""Blobs in the spool folder: those we serve by hash, and those that arrive. Bulk never sits in our memory."""

import hashlib
import os
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from protocol.codec import digest
from protocol.errors import ProtocolError
from protocol.messages import ObjectRef

CHUNK = 512 * 1024
"""Bytes that are hashed and pulled together: large enough that asking costs little, small enough that a bad
one costs little too."""


@dataclass(slots=True)
class _Held:
    path: Path
    size: int
    users: int = 0
    reads: int = 0
    retired: bool = False
    index: dict[int, bytes] = field(default_factory=dict)
    """SHA-256 of each chunk that has been read, by its offset."""


@dataclass(frozen=True, slots=True)
class StoreStatistics:
    """What the store holds."""

    objects: int
    bytes: int


class ObjectStore:
    """Files that others may pull, by hash. A retired file goes once nobody needs it any more."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._held: dict[bytes, _Held] = {}
        self._incoming = self._lent = 0

    def add(self, ref: ObjectRef, file: str) -> None:
        """Serve `file` of the spool folder as `ref`; the store owns it from now on."""
        path = self.folder / file
        known = self._held.get(ref.sha256)
        if known is not None:
            # The same bytes again: the old file serves as well.
            known.retired = False
            path.unlink()
            return
        self._held[ref.sha256] = _Held(path, ref.size)

    def retire(self, sha256: bytes) -> None:
        """Stop serving an object once its last user is done."""
        held = self._held.get(sha256)
        if held is not None:
            held.retired = True
            self._drop_if_unused(sha256)

    @contextmanager
    def in_use(self, sha256: bytes) -> Iterator[None]:
        """Keep an object for a while even if it is retired: a partner is pulling it."""
        held = self._held.get(sha256)
        if held is None:
            # Replaced in the same instant. The partner's pull will be refused, which ends the exchange.
            yield
            return
        held.users += 1
        try:
            yield
        finally:
            held.users -= 1
            self._drop_if_unused(sha256)

    def read(self, sha256: bytes, offset: int, length: int) -> bytes | None:
        """Return up to `length` bytes from `offset`, or None where the object or the range is not there."""
        held = self._held.get(sha256)
        if held is None or offset >= held.size:
            return None
        held.reads += 1
        with held.path.open("rb") as file:
            return os.pread(file.fileno(), min(length, held.size - offset), offset)

    def digest(self, sha256: bytes, offset: int, data: bytes) -> bytes:
        """Return the SHA-256 of what was just read; a chunk that several peers pull is hashed once."""
        held = self._held.get(sha256)
        if held is None or offset % CHUNK or len(data) != min(CHUNK, held.size - offset):
            return digest(data)
        if offset not in held.index:
            held.index[offset] = digest(data)
        return held.index[offset]

    def lend(self, sha256: bytes) -> str:
        """Return another name of an object's file, which its reader owns and deletes.

        Raises:
            KeyError: the object is not here.
        """
        self._lent += 1
        name = f"lent-{self._lent}"
        (self.folder / name).hardlink_to(self._held[sha256].path)
        return name

    def reads(self, sha256: bytes) -> int:
        """Return how often an object has been read: whether somebody is pulling it shows in its growth."""
        held = self._held.get(sha256)
        return held.reads if held else 0

    def receive(self, ref: ObjectRef) -> "Incoming":
        """Open a file for an object that is about to arrive. Its size has been checked by the caller."""
        self._incoming += 1
        return Incoming(self.folder / f"in-{self._incoming}", ref)

    def _drop_if_unused(self, sha256: bytes) -> None:
        held = self._held.get(sha256)
        if held is not None and held.retired and not held.users:
            del self._held[sha256]
            held.path.unlink(missing_ok=True)

    def statistics(self) -> StoreStatistics:
        """Gauges at this moment."""
        return StoreStatistics(len(self._held), sum(held.size for held in self._held.values()))


@dataclass(frozen=True, slots=True)
class Chunk:
    """A range of an object that is pulled together."""

    offset: int
    length: int


class Incoming:
    """An object that arrives chunk by chunk, in any order, from one source or several at once.

    A source takes a chunk, and writes it or puts it back. Leaving without `keep` deletes what came.
    """

    def __init__(self, path: Path, ref: ObjectRef) -> None:
        self._path = path
        self._ref = ref
        self._hash = hashlib.sha256()
        self._hashed = 0
        self._ahead: dict[int, int] = {}
        """Lengths of chunks that came before one that lies before them, by offset."""
        self._untaken = 0
        self._put_back: deque[Chunk] = deque()
        self._kept = False
        self.received = 0

    def __enter__(self) -> Self:
        self._file = self._path.open("w+b")
        return self

    def __exit__(self, *details: object) -> None:
        self._file.close()
        if not self._kept:
            self._path.unlink(missing_ok=True)

    @property
    def missing(self) -> int:
        """Bytes still to come."""
        return self._ref.size - self.received

    def take(self) -> Chunk | None:
        """Return a chunk that is missing and that nobody is fetching, or None."""
        if self._put_back:
            return self._put_back.popleft()
        if self._untaken >= self._ref.size:
            return None
        chunk = Chunk(self._untaken, min(CHUNK, self._ref.size - self._untaken))
        self._untaken += chunk.length
        return chunk

    def put_back(self, chunk: Chunk) -> None:
        """Let another fetch what was taken."""
        self._put_back.append(chunk)

    def write(self, chunk: Chunk, data: bytes) -> None:
        """Write a chunk that was taken.

        Raises:
            ProtocolError: it is not as long as it should be.
            OSError: our disk refused.
        """
        if len(data) != chunk.length:
            raise ProtocolError("a piece is not as long as was asked for")
        self._file.seek(chunk.offset)
        self._file.write(data)
        self.received += len(data)
        if chunk.offset != self._hashed:
            self._ahead[chunk.offset] = chunk.length
            return
        self._hash.update(data)
        self._hashed += len(data)
        while (length := self._ahead.pop(self._hashed, None)) is not None:
            self._file.seek(self._hashed)
            self._hash.update(self._file.read(length))
            self._hashed += length

    def check(self) -> None:
        """Check the whole against its hash.

        Raises:
            ProtocolError: these are not the bytes that were announced.
        """
        if self.missing or self._hash.digest() != self._ref.sha256:
            raise ProtocolError("the object does not have the hash that was announced")
        self._file.flush()

    def keep(self) -> str:
        """Return the name of the file, which has been checked; its next reader owns it."""
        self._kept = True
        return self._path.name
