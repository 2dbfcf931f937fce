"""What a newcomer keeps on disk is there again, and checked again, whatever happened to it."""

import pytest

from peer.swarm.assembly import Assembly, Source
from protocol.errors import ProtocolError
from protocol.identity import Identity
from protocol.state_index import SMALLEST_CHUNK, StateIndex, sign_index
from tests.peer.swarm.newcomers import content
from tests.states import hash_chunks

pytestmark = pytest.mark.anyio

RUN, SIZE = bytes(32), 3 * SMALLEST_CHUNK
HERS, HIS = content(SIZE, 1), content(SIZE, 2)


def _source(name, data, outer_step=1):
    donor = Identity(bytes([name] * 32))
    index = StateIndex(
        run_id=RUN,
        peer_id=donor.peer_id,
        size=SIZE,
        inner_step=10 * outer_step,
        outer_step=outer_step,
        tokens=outer_step,
        hashes=hash_chunks(data),
    )
    return Source(sign_index(index, donor), index)


def _chunk(data, number):
    return data[number * SMALLEST_CHUNK : (number + 1) * SMALLEST_CHUNK]


@pytest.fixture
async def half(tmp_path):
    """One chunk of hers, one of his."""
    assembly = Assembly(tmp_path / "joining", RUN, SIZE)
    await assembly.restore()
    assert assembly.write(0, _chunk(HERS, 0), _source(1, HERS, 5))
    assert assembly.write(1, _chunk(HIS, 1), _source(2, HIS, 9))
    return assembly


async def _again(tmp_path, run_id=RUN, size=SIZE):
    assembly = Assembly(tmp_path / "joining", run_id, size)
    await assembly.restore()
    return assembly


async def test_chunks_of_several_donors_make_a_state(half):
    assert (half.missing, half.received) == ({2}, 2 * SMALLEST_CHUNK)
    assert not half.write(1, _chunk(HERS, 1), _source(1, HERS, 5)), "the first that comes stays"
    half.write(2, _chunk(HERS, 2), _source(1, HERS, 5))
    assert half.file.read_bytes() == _chunk(HERS, 0) + _chunk(HIS, 1) + _chunk(HERS, 2)
    assert half.donors == tuple(Identity(bytes([name] * 32)).peer_id for name in (1, 2))
    assert half.progress.outer_step == 5


async def test_what_its_donor_has_not_signed_is_not_kept(half):
    with pytest.raises(ProtocolError, match="hash"):
        half.write(2, _chunk(HERS, 2), _source(2, HIS))
    assert half.missing == {2}


async def test_it_is_there_again_after_a_restart(half, tmp_path):
    again = await _again(tmp_path)
    assert again.missing == {2}
    assert again.donors == half.donors
    assert again.write(2, _chunk(HIS, 2), _source(2, HIS, 9))
    assert not (await _again(tmp_path)).missing


@pytest.mark.parametrize("name", ["state", "chunks", "indexes"])
@pytest.mark.parametrize("damage", ["removed", "cut", "garbage", "longer"])
async def test_what_is_damaged_is_missing_and_the_rest_can_be_completed(half, tmp_path, name, damage):
    path = tmp_path / "joining" / name
    data = path.read_bytes()
    if damage == "removed":
        path.unlink()
    else:
        path.write_bytes({"cut": data[:-1], "garbage": b"\xff" * 99, "longer": data + b"\0\0\0"}[damage])
    again = await _again(tmp_path)
    assert again.missing >= {2}
    if damage == "longer":
        assert again.missing == {2}
    for chunk in sorted(again.missing):
        again.write(chunk, _chunk(HERS, chunk), _source(1, HERS, 5))
    assert not (await _again(tmp_path)).missing
    data = again.file.read_bytes()
    assert all(_chunk(data, chunk) in (_chunk(HERS, chunk), _chunk(HIS, chunk)) for chunk in range(3))


@pytest.mark.parametrize(("run_id", "size"), [(b"x" * 32, SIZE), (RUN, SIZE - 1)])
async def test_what_is_of_another_run_is_cleared(half, tmp_path, run_id, size):
    again = await _again(tmp_path, run_id, size)
    assert again.missing == {0, 1, 2}
    assert not again.file.stat().st_size


async def test_what_is_not_wanted_is_dropped_for_good(half, tmp_path):
    half.keep(lambda index: index.outer_step > 5)
    assert half.missing == {0, 2}
    assert (await _again(tmp_path)).missing == {0, 2}


async def test_deleted_it_leaves_nothing_and_can_begin_again(half, tmp_path):
    half.delete()
    assert not (tmp_path / "joining").exists()
    assert (half.missing, half.donors, half.received) == ({0, 1, 2}, (), 0)
    await half.restore()
    assert half.write(0, _chunk(HIS, 0), _source(2, HIS))
