"""Blobs in the spool folder: those we serve by hash, and those that arrive. Bulk never sits in our memory."""

import errno
import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterator
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


MayRead = Callable[[str, int], bool]
"""Says whether a peer may read so many bytes of an object now."""


@dataclass(slots=True)
class _Held:
    path: Path
    size: int
    may_read: MayRead | None
    users: int = 0
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

    def add(self, ref: ObjectRef, file: str, may_read: MayRead | None = None) -> None:
        """Serve `file` of the spool folder as `ref`; the store owns it from now on.

        Args:
            ref: its name and size.
            file: where it is.
            may_read: who may read it; None where everybody may.
        """
        path = self.folder / file
        known = self._held.get(ref.sha256)
        if known is not None:
            # The same bytes again: the old file serves as well.
            known.retired = False
            path.unlink()
            return
        self._held[ref.sha256] = _Held(path, ref.size, may_read)

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

    def read(self, sha256: bytes, offset: int, length: int, reader: str = "") -> bytes | None:
        """Return up to `length` bytes from `offset`, or None where they are not there for this reader."""
        held = self._held.get(sha256)
        if held is None or offset >= held.size:
            return None
        length = min(length, held.size - offset)
        if held.may_read is not None and not held.may_read(reader, length):
            return None
        with held.path.open("rb") as file:
            return os.pread(file.fileno(), length, offset)

    def size(self, sha256: bytes) -> int:
        """Return the bytes of an object; 0 where it is not here."""
        held = self._held.get(sha256)
        return held.size if held else 0

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


@dataclass(frozen=True, slots=True)
class _Came:
    """What was said of a chunk that is here."""

    chunk: Chunk
    sha256: bytes
    giver: str


class Incoming:
    """An object that arrives chunk by chunk, in any order, from one source or several at once.

    A source takes a chunk, and writes it or puts it back. The whole is hashed as it comes; only where that is
    wrong are the chunks compared with the hashes that came with them. Leaving without `keep` deletes all.
    """

    def __init__(self, path: Path, ref: ObjectRef) -> None:
        self._path = path
        self._ref = ref
        self._hash = hashlib.sha256()
        self._hashed = 0
        self._came: dict[int, _Came] = {}
        """By offset."""
        self._next = 0
        self._put_back: deque[Chunk] = deque()
        self._kept = False
        self.received = 0

    def __enter__(self) -> Self:
        self._file = self._path.open("w+b", buffering=0)
        return self

    def __exit__(self, *details: object) -> None:
        self._file.close()
        if not self._kept:
            self._path.unlink(missing_ok=True)

    @property
    def missing(self) -> int:
        """Bytes still to come."""
        return self._ref.size - self.received

    @property
    def untaken(self) -> bool:
        """Whether something is missing that nobody is fetching."""
        return bool(self._put_back) or self._next < self._ref.size

    def take(self) -> Chunk | None:
        """Return a chunk that is missing and that nobody is fetching, or None."""
        if self._put_back:
            return self._put_back.popleft()
        if self._next >= self._ref.size:
            return None
        chunk = Chunk(self._next, min(CHUNK, self._ref.size - self._next))
        self._next += chunk.length
        return chunk

    def put_back(self, chunk: Chunk) -> None:
        """Let another fetch what was taken."""
        self._put_back.append(chunk)

    def write(self, chunk: Chunk, data: bytes | bytearray, sha256: bytes, giver: str) -> None:
        """Write a chunk that was taken, of which `giver` says that it has this hash.

        Raises:
            ProtocolError: it is not as long as it should be.
            OSError: our disk refused.
        """
        if len(data) != chunk.length:
            raise ProtocolError("a piece is not as long as was asked for")
        if os.pwrite(self._file.fileno(), data, chunk.offset) != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.received += len(data)
        self._came[chunk.offset] = _Came(chunk, sha256, giver)
        if chunk.offset == self._hashed:
            self._hash.update(data)
            self._hashed += len(data)
        self._hash_on()

    def _hash_on(self) -> None:
        """Hash what came before something that lies before it."""
        while (later := self._came.get(self._hashed)) is not None:
            self._hash.update(self._read(later.chunk))
            self._hashed += later.chunk.length

    def _read(self, chunk: Chunk) -> bytes:
        return os.pread(self._file.fileno(), chunk.length, chunk.offset)

    @property
    def sound(self) -> bool:
        """Whether all is here and has the hash that was announced."""
        return not self.missing and self._hash.digest() == self._ref.sha256

    def drop_bad(self) -> list[str]:
        """Put the chunks back that do not have the hash that came with them, and return who gave each."""
        bad = [came for came in self._came.values() if digest(self._read(came.chunk)) != came.sha256]
        for came in bad:
            del self._came[came.chunk.offset]
            self.received -= came.chunk.length
            self.put_back(came.chunk)
        if bad:
            # What is hashed cannot be taken back: the rest is read again once the first of them has come.
            self._hash, self._hashed = hashlib.sha256(), 0
            self._hash_on()
        return [came.giver for came in bad]

    def check(self) -> None:
        """Check the whole against its hash.

        Raises:
            ProtocolError: these are not the bytes that were announced.
        """
        if not self.sound:
            raise ProtocolError("the object does not have the hash that was announced")

    def keep(self) -> str:
        """Return the name of the file, which has been checked; its next reader owns it."""
        self._kept = True
        return self._path.name
