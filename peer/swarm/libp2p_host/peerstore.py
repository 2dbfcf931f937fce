"""What we believe about other peers, bounded."""

from collections.abc import Sequence

from libp2p.crypto.keys import KeyPair
from libp2p.peer.envelope import Envelope
from libp2p.peer.id import ID
from libp2p.peer.peerstore import PeerStore
from multiaddr import Multiaddr

from peer.swarm.libp2p_host.addresses import dialable
from peer.swarm.transport import bare
from protocol.limits import MAX_ADDRESSES

MAX_PEERS = 2048
MAX_ENVELOPE = 4096
"""Bytes of a signed peer record; a real one has about 400."""
MAX_PROTOCOLS = 64
MAX_PROTOCOL_NAME = 128


class BoundedPeerStore(PeerStore):  # type: ignore[misc]
    """The stock store keeps any address, name and record of any size, and evicts first who has no address.

    That is ourselves: a thousand invented peers, 20 to a DHT answer, and a stock host has lost its own
    private key. Here the oldest stranger goes. Drop when a libp2p release bounds entries and spares its own.
    """

    def __init__(self, own: ID, keys: KeyPair) -> None:
        super().__init__(max_records=MAX_PEERS, max_peers=MAX_PEERS)
        self._own = own
        self.add_key_pair(own, keys)

    def add_addrs(self, peer_id: ID, addrs: Sequence[Multiaddr], ttl: int = 0) -> None:
        """Believe what can be dialled over TCP by number, or by a circuit, up to MAX_ADDRESSES for a peer."""
        known = self.peer_data_map[peer_id].get_addrs() if peer_id in self.peer_data_map else []
        room = MAX_ADDRESSES - len(known)
        texts = (bare(str(address)) for address in addrs[: 2 * MAX_ADDRESSES])
        kept = [Multiaddr(str(address)) for address in dialable(texts, names=False)]
        fresh = [address for address in kept if address not in known]
        super().add_addrs(peer_id, fresh[:room], ttl)

    def add_protocols(self, peer_id: ID, protocols: Sequence[str]) -> None:
        """Believe the first MAX_PROTOCOLS names of a sane length."""
        sane = [name for name in protocols[:MAX_PROTOCOLS] if len(name) <= MAX_PROTOCOL_NAME]
        super().set_protocols(peer_id, sane)
        self._enforce_peer_limit()

    def consume_peer_record(self, envelope: Envelope, ttl: int) -> bool:
        """Believe a signed record of a sane size."""
        if len(envelope.raw_payload) > MAX_ENVELOPE:
            return False
        return bool(super().consume_peer_record(envelope, ttl))

    def _enforce_peer_limit(self) -> None:
        while len(self.peer_data_map) > self.max_peers:
            oldest = next(peer for peer in self.peer_data_map if peer != self._own)
            del self.peer_data_map[oldest]
            self.peer_record_map.pop(oldest, None)
