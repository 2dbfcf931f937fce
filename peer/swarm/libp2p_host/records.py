"""What our part of the DHT holds: small records, each under the PeerID of who made it."""

from collections.abc import Sequence

from libp2p.kad_dht.pb.kademlia_pb2 import Record
from libp2p.kad_dht.provider_store import ProviderStore
from libp2p.kad_dht.value_store import ValueStore
from libp2p.peer.id import ID
from libp2p.peer.peerinfo import PeerInfo
from libp2p.records.validator import NamespacedValidator, Validator

from peer.swarm.transport import RecordRules
from protocol.limits import MAX_STORED

MAX_RECORDS = 4096
"""Records that we hold for others: 28 MiB if each is of the largest."""

_NAMESPACE = "mm"


def key_of(peer_id: str) -> str:
    """Return the key of a peer's record. The run is not in it: each run has a DHT of its own."""
    return f"/{_NAMESPACE}/{peer_id}"


def validator_of(rules: RecordRules) -> NamespacedValidator:
    """Return a validator that refuses all but records of peers; stock 0.8.1 accepts any other key."""
    return NamespacedValidator({_NAMESPACE: _PeerRecords(rules)}, strict_validation=True)


class _PeerRecords(Validator):  # type: ignore[misc]
    def __init__(self, rules: RecordRules) -> None:
        self._rules = rules

    def validate(self, key: str, value: bytes) -> None:
        """Raise ValueError unless this is a record by the peer in its key."""
        peer_id = key.removeprefix(key_of(""))
        if len(value) > MAX_STORED or key != key_of(peer_id) or not self._rules.validate(peer_id, value):
            raise ValueError(f"no record of {key[:80]}")

    def select(self, key: str, values: Sequence[bytes]) -> int:
        """Return the index of the newest; of equals, the first. Libp2p has validated them."""
        del key
        numbers = [self._rules.sequence(value) for value in values]
        return numbers.index(max(numbers))


class RecordStore(ValueStore):  # type: ignore[misc]
    """Records in memory, at most MAX_RECORDS.

    Stock 0.8.1 holds 50,000, each with an author's name of up to a megabyte, and reads all their dates to
    evict one. Drop when a libp2p release bounds them.

    Attributes:
        placed: copies that other peers took from us.
    """

    placed = 0

    def put_record(self, key: bytes, record: Record) -> None:
        """Store a record, without what libp2p wraps around it: its value is signed itself."""
        super().put_record(key, Record(key=record.key, value=record.value, timeReceived=record.timeReceived))

    async def _store_at_peer(
        self, peer_id: ID, key: bytes, value: bytes, record: Record | None = None
    ) -> bool:
        stored = bool(await super()._store_at_peer(peer_id, key, value, record))
        self.placed += stored
        return stored

    def _evict_if_full(self) -> None:
        while len(self.store) >= MAX_RECORDS:
            del self.store[next(key for key in self.store if key not in self.local_keys)]


class NoProviders(ProviderStore):  # type: ignore[misc]
    """Takes no provider records: we use none, and stock 0.8.1 keeps any number, `enable_providers` or not."""

    def add_provider(self, key: bytes, provider: PeerInfo) -> None:
        """Ignore it."""
