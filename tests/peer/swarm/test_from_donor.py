"""One donor's share of a state: large chunks in pieces, and what another donor was faster with."""

import pytest

from peer.swarm.assembly import Assembly, Source
from peer.swarm.claims import Claims
from peer.swarm.from_donor import FromDonor
from peer.swarm.objects import CHUNK
from protocol.errors import ProtocolError
from protocol.identity import Identity
from protocol.messages import Piece
from protocol.state_index import StateIndex, sign_index
from tests.states import hash_chunks

RUN = bytes(32)
DONOR = Identity(bytes([1]) * 32)
SAID = Piece(length=1, sha256=bytes(32))


@pytest.fixture
def large(monkeypatch):
    """Let a chunk have three pieces, the last of them short."""
    monkeypatch.setattr("protocol.state_index.SMALLEST_CHUNK", 2 * CHUNK + 100)


def _source(data):
    index = StateIndex(
        run_id=RUN,
        peer_id=DONOR.peer_id,
        size=len(data),
        inner_step=1,
        outer_step=1,
        tokens=1,
        hashes=hash_chunks(data),
    )
    return Source(sign_index(index, DONOR), index)


def _share(tmp_path, data):
    assembly = Assembly(tmp_path / "joining", RUN, len(data))
    assembly.clear()
    claims, came = Claims(assembly.missing), []
    share = FromDonor(assembly, claims, _source(data), lambda: came.append(len(assembly.missing)))
    return assembly, claims, share, came


def _give(share, data, piece):
    share.came(piece, SAID, data[piece.offset : piece.offset + piece.length])


def test_a_large_chunk_comes_in_pieces_in_any_order_and_is_written_when_it_is_whole(tmp_path, large):
    data = bytes(range(256)) * (3 * CHUNK // 256)
    assembly, _, share, came = _share(tmp_path, data)
    pieces = []
    while (piece := share.take()) is not None:
        pieces.append(piece)
    assert [piece.length for piece in pieces] == [CHUNK, CHUNK, 100, CHUNK - 100]
    share.put_back(pieces.pop(0))
    assert not share.finished()
    for piece in reversed(pieces):
        _give(share, data, piece)
    assert came == [1]
    _give(share, data, share.take())
    assert came == [1, 0]
    assert share.finished()
    assert share.received == len(data)
    assert assembly.file.read_bytes() == data


def test_what_another_donor_gave_meanwhile_is_not_asked_for_and_may_still_come(tmp_path, large):
    data = bytes(2 * CHUNK)
    assembly, claims, share, came = _share(tmp_path, data)
    first = share.take()
    assert claims.take("another") == 0
    assembly.write(0, data, _source(data))
    claims.release(0, "another")
    assert share.take() is None
    assert share.finished()
    _give(share, data, first)
    assert not came


def test_a_piece_that_is_put_back_when_another_donor_has_given_the_chunk_is_forgotten(tmp_path, large):
    data = bytes(2 * CHUNK)
    assembly, claims, share, _ = _share(tmp_path, data)
    in_flight = share.take()
    assert claims.take("another") == 0
    assembly.write(0, data, _source(data))
    claims.release(0, "another")
    assert share.finished()
    share.put_back(in_flight)
    assert share.finished()
    assert share.take() is None
    share.give_up()


def test_what_the_donor_did_not_give_is_left_to_others(tmp_path):
    data = bytes(CHUNK)
    _, claims, share, _ = _share(tmp_path, data)
    assert share.take() is not None
    share.give_up()
    assert claims.take("another") == 0


def test_a_chunk_that_the_donor_did_not_sign_is_refused_whatever_hash_comes_with_it(tmp_path):
    data = bytes(CHUNK)
    assembly, _, share, _ = _share(tmp_path, data)
    piece = share.take()
    with pytest.raises(ProtocolError, match="signed"):
        share.came(piece, SAID, b"x" * CHUNK)
    with pytest.raises(ProtocolError, match="as long as"):
        share.came(piece, SAID, b"x")
    assert assembly.missing == {0}
