import hashlib
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peer.swarm.objects import CHUNK, ObjectStore
from protocol.codec import digest
from protocol.errors import ProtocolError
from protocol.messages import ObjectRef


def _ref(data):
    return ObjectRef(sha256=hashlib.sha256(data).digest(), size=len(data))


@pytest.fixture
def store(tmp_path):
    return ObjectStore(tmp_path)


def _add(store, data, name="file"):
    (store.folder / name).write_bytes(data)
    store.add(_ref(data), name)
    return _ref(data)


def test_ranges_are_read_and_never_beyond_the_end(store):
    ref = _add(store, b"0123456789")
    assert store.read(ref.sha256, 2, 3) == b"234"
    assert store.read(ref.sha256, 8, 100) == b"89"
    assert store.read(ref.sha256, 10, 1) is None
    assert store.read(bytes(32), 0, 1) is None


def test_a_retired_object_stays_while_a_partner_pulls_it(store):
    ref = _add(store, b"data")
    with store.in_use(ref.sha256):
        store.retire(ref.sha256)
        assert store.read(ref.sha256, 0, 4) == b"data"
    assert store.read(ref.sha256, 0, 4) is None
    assert not list(store.folder.iterdir())
    assert store.statistics().objects == 0


def test_using_what_was_replaced_in_the_same_instant_is_no_crash(store):
    with store.in_use(bytes(32)):
        assert store.read(bytes(32), 0, 1) is None


def test_the_same_bytes_twice_are_held_once(store):
    ref = _add(store, b"data", "one")
    _add(store, b"data", "two")
    assert [path.name for path in store.folder.iterdir()] == ["one"]
    store.retire(ref.sha256)
    assert not list(store.folder.iterdir())


# ---- what arrives

BIG = bytes(range(251)) * 9000  # 4 chunks and a part of one


def _chunks(incoming):
    taken = []
    while (chunk := incoming.take()) is not None:
        taken.append(chunk)
    return taken


def _write(incoming, chunk, giver="giver", spoilt=False):
    data = BIG[chunk.offset : chunk.offset + chunk.length]
    incoming.write(chunk, bytes(len(data)) if spoilt else data, digest(data), giver)


@settings(deadline=None, max_examples=25)
@given(st.permutations(range(5)))
def test_chunks_may_come_in_any_order(order):
    with TemporaryDirectory() as folder:
        store = ObjectStore(Path(folder))
        with store.receive(_ref(BIG)) as incoming:
            chunks = _chunks(incoming)
            assert sum(chunk.length for chunk in chunks) == len(BIG)
            for count, index in enumerate(order, 1):
                _write(incoming, chunks[index])
                assert incoming.received == sum(chunks[each].length for each in order[:count])
            incoming.check()
            name = incoming.keep()
        assert (store.folder / name).read_bytes() == BIG


def test_a_chunk_that_was_put_back_is_taken_again(store):
    with store.receive(_ref(BIG)) as incoming:
        first, second, *_ = _chunks(incoming)
        incoming.put_back(second)
        assert incoming.take() == second
        assert incoming.take() is None
        _write(incoming, first)
        assert incoming.missing == len(BIG) - first.length
    assert not list(store.folder.iterdir())


def test_what_is_cut_is_refused_and_leaves_nothing(store):
    with pytest.raises(ProtocolError), store.receive(_ref(BIG)) as incoming:  # noqa: PT012
        incoming.take()
        incoming.check()
    assert not list(store.folder.iterdir())


@pytest.mark.parametrize("data", [b"hell", b"hello!", b"jello"])
def test_what_is_short_long_or_altered_is_refused_and_leaves_nothing(store, data):
    with pytest.raises(ProtocolError), store.receive(_ref(b"hello")) as incoming:  # noqa: PT012
        incoming.write(incoming.take(), data, digest(data), "giver")
        incoming.check()
    assert not list(store.folder.iterdir())


@settings(deadline=None, max_examples=25)
@given(st.sets(st.integers(0, 4), min_size=1), st.permutations(range(5)))
def test_only_bad_chunks_are_fetched_again_and_who_gave_them_is_known(bad, order):
    with TemporaryDirectory() as folder, ObjectStore(Path(folder)).receive(_ref(BIG)) as incoming:
        chunks = _chunks(incoming)
        for index in order:
            _write(incoming, chunks[index], f"giver {index}", spoilt=index in bad)
        assert not incoming.missing
        assert not incoming.sound
        assert sorted(incoming.drop_bad()) == [f"giver {index}" for index in sorted(bad)]
        again = _chunks(incoming)
        assert {chunks.index(chunk) for chunk in again} == bad
        for chunk in again:
            _write(incoming, chunk)
        assert incoming.sound
        assert incoming.drop_bad() == []


def test_a_chunk_that_many_pull_is_hashed_once_and_odd_ranges_are_not_remembered(store):
    ref = _add(store, BIG)
    data = store.read(ref.sha256, CHUNK, CHUNK)
    assert store.digest(ref.sha256, CHUNK, data) == hashlib.sha256(data).digest()
    assert store.digest(ref.sha256, CHUNK, bytes(CHUNK)) == hashlib.sha256(data).digest()
    for offset, length in ((CHUNK, 7), (1, CHUNK), (0, 9)):
        data = store.read(ref.sha256, offset, length)
        assert store.digest(ref.sha256, offset, data) == hashlib.sha256(data).digest()
    last = store.read(ref.sha256, 4 * CHUNK, CHUNK)
    assert store.digest(ref.sha256, 4 * CHUNK, last) == hashlib.sha256(last).digest()
