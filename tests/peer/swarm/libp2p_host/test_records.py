import pytest
from libp2p.kad_dht.pb.kademlia_pb2 import Record
from libp2p.records.utils import InvalidRecordType

from peer.swarm.libp2p_host import records
from peer.swarm.libp2p_host.records import NoProviders, RecordStore, key_of, validator_of
from tests.peer.swarm.libp2p_host.rules import NumberedRecords, record

VALIDATOR = validator_of(NumberedRecords())


class NoHost:
    def get_id(self):
        return None


def test_record_under_its_key_is_valid():
    VALIDATOR.validate(key_of("peer"), record("peer", 1))


@pytest.mark.parametrize(
    "key", ["", "mm", "/mm", "/mm/", "/mm/other", "/pk/peer", "/mm/peer/", "peer", "//", "/mm/mm/peer"]
)
def test_record_elsewhere_is_not(key):
    with pytest.raises((ValueError, InvalidRecordType)):
        VALIDATOR.validate(key, record("peer", 1))


def test_newest_record_is_selected():
    values = [record("peer", number) for number in (3, 10, 9, 10)]
    assert VALIDATOR.select(key_of("peer"), values) == 1


def test_store_is_bounded_and_keeps_our_own(monkeypatch):
    monkeypatch.setattr(records, "MAX_RECORDS", 3)
    store = RecordStore(host=NoHost(), local_peer_id=None)
    store.local_keys.add(b"0")
    for number in range(10):
        key = str(number).encode()
        store.put_record(key, Record(key=key, value=b"v"))
    assert list(store.store) == [b"0", b"8", b"9"]


def test_store_drops_what_libp2p_wraps_around_a_record():
    store = RecordStore(host=NoHost(), local_peer_id=None)
    store.put_record(b"k", Record(key=b"k", value=b"v", author=bytes(900_000), timeReceived="now"))
    assert store.get(b"k").ByteSize() < 30


def test_providers_are_ignored():
    store = NoProviders(host=NoHost(), peer_routing=None)
    store.add_provider(b"key", None)
    assert store.providers == {}
