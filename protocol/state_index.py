"""A donor's signed index of its state: how far it has come, and the hash of each chunk of fixed length."""

import hashlib
from typing import Annotated

from msgspec import Meta

from protocol import identity
from protocol.codec import Message, decode, digest, encode
from protocol.errors import ProtocolError
from protocol.identity import Identity
from protocol.limits import MAX_CHUNKS, MAX_INDEX, MAX_OBJECT, MAX_PROGRESS

SMALLEST_CHUNK = 512 * 1024
"""Bytes of a chunk, but for the last of a state and where there would be more than `MAX_CHUNKS`."""

HASH_BYTES = 32

Count = Annotated[int, Meta(ge=0, le=MAX_PROGRESS)]


class StateIndex(Message, frozen=True):
    """What a donor says of a state that it holds ready: flat fp32, phi, then momentum."""

    run_id: Annotated[bytes, Meta(min_length=32, max_length=32)]
    peer_id: Annotated[str, Meta(max_length=64)]
    size: Annotated[int, Meta(ge=1, le=MAX_OBJECT)]
    inner_step: Count
    outer_step: Count
    tokens: Count
    hashes: Annotated[bytes, Meta(min_length=HASH_BYTES, max_length=HASH_BYTES * MAX_CHUNKS)]
    """SHA-256 of each chunk, one after the other."""

    @property
    def name(self) -> bytes:
        """By what the state's bytes are pulled: the hash of the hashes, so that equal bytes have one name."""
        return digest(self.hashes)

    def hash_of(self, chunk: int) -> bytes:
        """Return the hash of one chunk."""
        return self.hashes[chunk * HASH_BYTES : (chunk + 1) * HASH_BYTES]


class SignedIndex(Message, frozen=True):
    """An index's canonical bytes and its donor's signature over them."""

    index: Annotated[bytes, Meta(max_length=MAX_INDEX)]
    signature: Annotated[bytes, Meta(min_length=64, max_length=64)]


def chunk_length(size: int) -> int:
    """Return the bytes of every chunk but the last of a state of `size` bytes."""
    return SMALLEST_CHUNK * -(-size // (SMALLEST_CHUNK * MAX_CHUNKS))


def chunk_count(size: int) -> int:
    """Return into how many chunks a state of `size` bytes is cut."""
    return -(-size // chunk_length(size))


def chunk_range(size: int, chunk: int) -> tuple[int, int]:
    """Return where a chunk begins, and its length, in bytes."""
    length = chunk_length(size)
    return chunk * length, min(length, size - chunk * length)


class ChunkHasher:
    """Hashes a state of `size` bytes chunk by chunk, in whatever pieces it comes."""

    def __init__(self, size: int) -> None:
        self._length = chunk_length(size)
        self._hash = hashlib.sha256()
        self._open = 0
        self._done: list[bytes] = []

    def update(self, data: bytes) -> None:
        """Take the next bytes."""
        left = memoryview(data)
        while left:
            part = left[: self._length - self._open]
            self._hash.update(part)
            self._open += len(part)
            left = left[len(part) :]
            if self._open == self._length:
                self._close()

    def hashes(self) -> bytes:
        """Return the hashes of all chunks, once every byte has come."""
        if self._open:
            self._close()
        return b"".join(self._done)

    def _close(self) -> None:
        self._done.append(self._hash.digest())
        self._hash, self._open = hashlib.sha256(), 0


def sign_index(index: StateIndex, signer: Identity) -> SignedIndex:
    """Sign an index of the signer's own."""
    data = encode(index)
    return SignedIndex(index=data, signature=signer.sign("state index", data))


def open_index(sealed: SignedIndex, run_id: bytes, size: int) -> StateIndex:
    """Return the index inside, once everything about it has been checked but whether its bytes are good.

    Args:
        sealed: from a stranger, or from our disk.
        run_id: the run that it must be of.
        size: bytes that a state of this run has.

    Raises:
        ProtocolError: not of the schema, of another run or size, or not signed by the peer that it names.
    """
    index = decode(sealed.index, StateIndex, MAX_INDEX)
    if index.run_id != run_id:
        raise ProtocolError("the state belongs to another run")
    if index.size != size:
        raise ProtocolError(f"the state has {index.size} bytes, a state of this run has {size}")
    if len(index.hashes) != HASH_BYTES * chunk_count(size):
        raise ProtocolError("the index does not have one hash for each chunk")
    identity.verify(identity.public_key_of(index.peer_id), "state index", sealed.index, sealed.signature)
    return index
