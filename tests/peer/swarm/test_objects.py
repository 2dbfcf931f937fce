import hashlib

import pytest

from peer.swarm.objects import ObjectStore
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


def test_what_arrives_whole_is_kept_under_a_name(store):
    with store.receive(_ref(b"hello")) as incoming:
        incoming.write(b"hel")
        assert incoming.missing == 2
        incoming.write(b"lo")
        incoming.check()
        name = incoming.keep()
    assert (store.folder / name).read_bytes() == b"hello"


@pytest.mark.parametrize("pieces", [[b"hel"], [b"hello", b"!"], [b"jello"]])
def test_what_is_cut_too_long_or_altered_is_refused_and_leaves_nothing(store, pieces):
    with pytest.raises(ProtocolError), store.receive(_ref(b"hello")) as incoming:  # noqa: PT012
        for piece in pieces:
            incoming.write(piece)
        incoming.check()
    assert not list(store.folder.iterdir())
