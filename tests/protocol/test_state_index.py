"""A donor's index is hostile until its schema, its run, its size and its signature have been checked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from protocol.codec import digest, encode
from protocol.errors import ProtocolError
from protocol.identity import Identity
from protocol.limits import MAX_CHUNKS, MAX_INDEX, MAX_MESSAGE, MAX_OBJECT, MAX_PROGRESS
from protocol.messages import StateIs
from protocol.state_index import (
    HASH_BYTES,
    SMALLEST_CHUNK,
    ChunkHasher,
    SignedIndex,
    StateIndex,
    chunk_count,
    chunk_length,
    chunk_range,
    open_index,
    sign_index,
)
from tests.states import hash_chunks

DONOR, RUN = Identity(bytes(32)), bytes(32)
SIZE = SMALLEST_CHUNK + 8
INDEX = StateIndex(
    run_id=RUN,
    peer_id=DONOR.peer_id,
    size=SIZE,
    inner_step=400,
    outer_step=40,
    tokens=10_000,
    hashes=hash_chunks(bytes(SIZE)),
)


@given(st.one_of(st.integers(1, MAX_OBJECT), st.integers(1, 8 * SMALLEST_CHUNK)))
def test_chunks_cover_a_state_once_and_are_never_too_many(size):
    count, length = chunk_count(size), chunk_length(size)
    assert count <= MAX_CHUNKS
    assert length % SMALLEST_CHUNK == 0
    first, last = chunk_range(size, 0), chunk_range(size, count - 1)
    assert first[0] == 0
    assert last[0] == (count - 1) * length
    assert sum(last) == size
    assert 0 < last[1] <= length
    assert count == 1 or first[1] == length


@given(st.lists(st.integers(0, 3 * SMALLEST_CHUNK // 2), max_size=5))
def test_hashes_do_not_depend_on_the_pieces_in_which_a_state_comes(pieces):
    data = bytes(range(256)) * (sum(pieces) // 256 + 1)
    hasher, start = ChunkHasher(len(data)), 0
    for piece in (*pieces, len(data)):
        hasher.update(data[start : start + piece])
        start += piece
    chunks = [data[at : at + SMALLEST_CHUNK] for at in range(0, len(data), SMALLEST_CHUNK)]
    assert hasher.hashes() == hash_chunks(data) == b"".join(digest(chunk) for chunk in chunks)


def test_a_signed_index_opens_as_it_was_and_names_each_chunks_hash():
    index = open_index(sign_index(INDEX, DONOR), RUN, SIZE)
    assert index == INDEX
    assert index.hash_of(1) == digest(bytes(8))
    assert index.name == replace(INDEX, inner_step=1).name != replace(INDEX, hashes=bytes(64)).name


LIES = {
    "of another run": {"run_id": b"x" * 32},
    "of another size": {"size": SIZE + 1},
    "with a hash too few": {"hashes": bytes(HASH_BYTES)},
    "with half a hash": {"hashes": bytes(HASH_BYTES + 1)},
    "of another peer": {"peer_id": Identity(bytes([1] * 32)).peer_id},
    "with absurd progress": {"inner_step": MAX_PROGRESS + 1},
    "with progress below 0": {"tokens": -1},
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_an_index_that_lies_is_refused(lie):
    with pytest.raises(ProtocolError):
        open_index(sign_index(replace(INDEX, **lie), DONOR), RUN, SIZE)


def test_a_changed_index_is_refused():
    sealed = sign_index(INDEX, DONOR)
    changed = encode(replace(INDEX, inner_step=401))
    with pytest.raises(ProtocolError, match="signature"):
        open_index(SignedIndex(index=changed, signature=sealed.signature), RUN, SIZE)


@given(st.binary(max_size=200))
def test_garbage_is_refused(data):
    with pytest.raises(ProtocolError):
        open_index(SignedIndex(index=data, signature=bytes(64)), RUN, SIZE)


def test_the_longest_index_fits_into_a_message():
    index = replace(INDEX, size=MAX_OBJECT, hashes=bytes(HASH_BYTES * MAX_CHUNKS))
    sealed = sign_index(index, DONOR)
    assert len(sealed.index) <= MAX_INDEX
    assert len(encode(StateIs(index=sealed))) <= MAX_MESSAGE
