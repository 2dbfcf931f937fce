"""Guards of connections: inbound slots, plaintext, eager dialling, one address of many."""

import pytest
import trio
from libp2p import new_host
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.crypto.keys import KeyPair
from libp2p.network.auto_connector import AutoConnector
from libp2p.peer.id import ID
from libp2p.peer.peerinfo import PeerInfo, info_from_p2p_addr
from libp2p.peer.peerstore import PeerStore
from libp2p.security.insecure.transport import PLAINTEXT_PROTOCOL_ID, InsecureTransport
from multiaddr import Multiaddr

from peer.swarm.libp2p_host import ConnectionLimits, swarm
from peer.swarm.libp2p_host.swarm import GuardedSwarm
from peer.swarm.transport import Contact, TransportError
from tests.peer.swarm.libp2p_host.support import (
    LOOPBACK,
    ask,
    assert_serves,
    contact_of,
    ours,
    port_of,
    until,
)

pytestmark = pytest.mark.anyio

FEW = ConnectionLimits(connections=4, handshake=2, dial=2)


async def visit(host, times):
    """Connect and disconnect several times."""
    async with ours(2, limits=FEW) as visitor:
        for _ in range(times):
            await visitor.dial(host.addresses[0])
            await until(host.connected)
            await visitor.hang_up(host.peer_id)
            await until(lambda: not host.connected())


async def test_inbound_slots_come_back():
    async with ours(1, limits=FEW) as one:
        await visit(one, times=10)
        await assert_serves(one)


async def test_inbound_slots_do_not_come_back_unguarded(monkeypatch):
    monkeypatch.delattr(GuardedSwarm, "_do_handle_inbound_connection")
    async with ours(1, limits=FEW) as one:
        with pytest.raises(TransportError):
            await visit(one, times=10)


async def test_silent_connections_from_one_host_do_not_shut_out_others():
    limits = ConnectionLimits(connections=8, handshakes_per_host=2, handshake=30)
    async with ours(1, limits=limits) as one:
        silent = [await trio.open_tcp_stream("127.0.0.1", port_of(one)) for _ in range(20)]
        # Those over the limit are closed at once: their end comes.
        ended = 0

        async def wait_for_end(stream):
            nonlocal ended
            await stream.receive_some(100)
            if not await stream.receive_some(100):
                ended += 1

        async with trio.open_nursery() as nursery:
            for stream in silent:
                nursery.start_soon(wait_for_end, stream)
            await until(lambda: ended == 18)
            nursery.cancel_scope.cancel()
        assert one._host.swarm._inbound_limiter.borrowed_tokens == 2
        for stream in silent:
            await stream.aclose()
        await until(lambda: not one._host.swarm._inbound_limiter.borrowed_tokens)
        await assert_serves(one)


async def test_silent_connection_is_closed_in_time():
    async with ours(1, limits=ConnectionLimits(handshake=0.3)) as one:
        async with await trio.open_tcp_stream("127.0.0.1", port_of(one)) as silent:
            with trio.fail_after(3):
                while await silent.receive_some(100):
                    pass
        await assert_serves(one)


def impostor(monkeypatch, pretended):
    """A stock host that claims another's key, over plaintext."""
    own = create_new_key_pair()
    own.private_key.get_public_key = lambda: pretended.public_key
    keys = KeyPair(own.private_key, pretended.public_key)
    monkeypatch.setattr(
        PeerStore, "add_privkey", lambda store, peer, key: store.peer_data_map[peer].add_privkey(key)
    )
    plaintext = {PLAINTEXT_PROTOCOL_ID: InsecureTransport(keys)}
    return new_host(key_pair=keys, sec_opt=plaintext, listen_addrs=[Multiaddr(LOOPBACK[0])])


async def test_stock_host_believes_an_impostor(monkeypatch):
    pretended = create_new_key_pair()
    liar = impostor(monkeypatch, pretended)
    credulous = new_host(listen_addrs=[Multiaddr(LOOPBACK[0])])
    async with credulous.run([Multiaddr(LOOPBACK[0])]), liar.run([Multiaddr(LOOPBACK[0])]):
        await liar.connect(info_from_p2p_addr(credulous.get_addrs()[0]))
        await until(credulous.get_connected_peers)
        assert credulous.get_connected_peers() == [ID.from_pubkey(pretended.public_key)]
        await liar.close()
        await credulous.close()


async def test_impostor_is_refused(monkeypatch):
    liar = impostor(monkeypatch, create_new_key_pair())
    async with ours(1) as one, liar.run([Multiaddr(LOOPBACK[0])]):
        with pytest.raises(Exception, match="unable to connect"):
            await liar.connect(info_from_p2p_addr(Multiaddr(one.addresses[0])))
        assert not one.connected()
        await liar.close()
        await assert_serves(one)


@pytest.mark.parametrize("eager", [False, True])
async def test_peers_are_not_dialled_unasked(monkeypatch, eager):
    if eager:
        monkeypatch.setattr(swarm, "_NoAutoConnector", AutoConnector)
    async with ours(1) as one, ours(2) as two:
        where = PeerInfo(ID.from_base58(two.peer_id), [Multiaddr(contact_of(two).addresses[0])])
        one._host.get_peerstore().add_addrs(where.peer_id, where.addrs, 600)
        await one._host.swarm.auto_connector.maybe_connect()
        assert list(one.connected()) == ([two.peer_id] if eager else [])


async def test_every_address_is_tried():
    async with ours(1) as one, ours(2) as two:
        # Nobody listens on the first, and the second is of another network.
        dead = ("/ip4/127.0.0.1/tcp/1", "/ip6/2001:db8::1/tcp/4001", "garbage")
        known = Contact(two.peer_id, dead + contact_of(two).addresses)
        assert await ask(one, known)
        await one.hang_up(two.peer_id)
        # libp2p's own parts dial by the peer store.
        peer = ID.from_base58(two.peer_id)
        store = one._host.get_peerstore()
        store.clear_addrs(peer)
        store.add_addrs(
            peer, [Multiaddr(address) for address in known.addresses if address != "garbage"], 600
        )
        await one._host.swarm.dial_peer(peer)
        assert list(one.connected()) == [two.peer_id]


async def test_stock_dial_tries_one_address(monkeypatch):
    monkeypatch.delattr(GuardedSwarm, "dial_peer")
    async with ours(1) as one, ours(2) as two:
        peer = ID.from_base58(two.peer_id)
        addresses = ["/ip4/127.0.0.1/tcp/1", *contact_of(two).addresses]
        one._host.get_peerstore().add_addrs(peer, [Multiaddr(address) for address in addresses], 600)
        with pytest.raises(Exception, match="unable to connect"):
            await one._host.swarm.dial_peer(peer)


async def test_peer_that_comes_up_late_is_reached_at_once():
    async with ours(1) as one:
        async with ours(2) as two:
            address = two.addresses[0]
        where = address.partition("/p2p/")[0]
        with pytest.raises(TransportError):
            await one.dial(address)
        async with ours(2, listen=[where]) as two:
            assert await one.dial(address) == two.peer_id


async def test_concurrent_dials_make_one_connection():
    async with ours(1) as one, ours(2) as two:
        async with trio.open_nursery() as nursery:
            for _ in range(10):
                nursery.start_soon(one.dial, two.addresses[0])
        assert one.statistics().connections == 1
        assert not one._host.swarm._dialling
