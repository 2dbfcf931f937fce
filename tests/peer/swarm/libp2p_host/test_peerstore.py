"""The peer store forgets strangers and not ourselves, and believes little of what they say."""

import pytest
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.peer.id import ID
from libp2p.peer.peerstore import PeerStoreError, create_signed_peer_record
from multiaddr import Multiaddr

from peer.swarm.libp2p_host.peerstore import MAX_PEERS, MAX_PROTOCOLS, BoundedPeerStore
from protocol.limits import MAX_ADDRESSES

KEYS = create_new_key_pair(bytes(32))
OWN = ID.from_pubkey(KEYS.public_key)
SOMEWHERE = Multiaddr("/ip4/192.0.2.1/tcp/4001")


@pytest.fixture
def store():
    return BoundedPeerStore(OWN, KEYS)


def stranger(number):
    return ID(b"\x12\x20" + number.to_bytes(32, "big"))


def flood(store):
    for number in range(MAX_PEERS + 10):
        store.add_addrs(stranger(number), [SOMEWHERE], 600)


def test_own_key_survives_a_flood(store):
    flood(store)
    assert store.privkey(OWN) is KEYS.private_key
    assert len(store.peer_ids()) == MAX_PEERS
    assert not store.has_peer(stranger(0))
    assert store.has_peer(stranger(MAX_PEERS + 9))


def test_own_key_is_lost_unguarded(monkeypatch, store):
    monkeypatch.delattr(BoundedPeerStore, "_enforce_peer_limit")
    flood(store)
    with pytest.raises(PeerStoreError):
        store.privkey(OWN)


def test_addresses_of_a_peer_are_bounded_and_dialable(store):
    peer = stranger(1)
    odd = [
        "/ip4/192.0.2.1/udp/4001/quic-v1",
        "/dns4/example.com/tcp/1",
        "/ip4/0.0.0.0/tcp/1",
        "/ip4/192.0.2.2/tcp/0",
    ]
    store.add_addrs(peer, [Multiaddr(address) for address in odd], 600)
    assert store.addrs(peer) == []
    store.add_addr(peer, Multiaddr(f"{SOMEWHERE}/p2p/{OWN}"), 600)
    assert store.addrs(peer) == [SOMEWHERE]
    for port in range(1, 100):
        store.add_addr(peer, Multiaddr(f"/ip4/192.0.2.3/tcp/{port}"), 600)
    assert len(store.addrs(peer)) == MAX_ADDRESSES
    store.add_addrs(peer, [SOMEWHERE], 600)
    assert len(store.addrs(peer)) == MAX_ADDRESSES


def test_protocols_of_a_peer_are_bounded(store):
    store.add_protocols(stranger(1), ["x" * 1000, *(f"/test/{number}" for number in range(1000))])
    assert len(store.get_protocols(stranger(1))) == MAX_PROTOCOLS - 1


def test_peers_with_protocols_alone_are_bounded(store):
    for number in range(MAX_PEERS + 10):
        store.add_protocols(stranger(number), ["/test/1"])
    assert len(store.peer_ids()) == MAX_PEERS
    assert store.privkey(OWN) is KEYS.private_key


def test_signed_records_are_bounded(store):
    keys = create_new_key_pair(bytes([1] * 32))
    peer = ID.from_pubkey(keys.public_key)
    many = [Multiaddr(f"/ip4/192.0.2.3/tcp/{port}") for port in range(1, 1000)]
    assert not store.consume_peer_record(create_signed_peer_record(peer, many, keys.private_key), 600)
    assert store.consume_peer_record(create_signed_peer_record(peer, many[:3], keys.private_key), 600)
    assert sorted(map(str, store.addrs(peer))) == sorted(map(str, many[:3]))
