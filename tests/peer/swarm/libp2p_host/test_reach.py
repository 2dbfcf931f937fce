"""Dial-back, relays and circuits between hosts on loopback."""

import secrets
from contextlib import suppress

import msgspec
import pytest
import trio
from libp2p.custom_types import TProtocol
from libp2p.protocol_muxer.multiselect_client import MultiselectClient
from libp2p.protocol_muxer.multiselect_communicator import MultiselectCommunicator

from peer.swarm.libp2p_host import ConnectionLimits, RelayLimits
from peer.swarm.libp2p_host.circuits import _carried
from peer.swarm.libp2p_host.dial_back import PER_HOST
from peer.swarm.libp2p_host.keys import libp2p_id
from peer.swarm.transport import Contact, TransportError
from protocol.codec import encode
from protocol.frames import frame
from protocol.reach_calls import (
    DIAL_BACK_PROTOCOL,
    MAX_REACH,
    REACH_PROTOCOL,
    AskCircuit,
    Connected,
    Incoming,
    PunchNow,
)
from tests.peer.swarm.libp2p_host.support import (
    MULTISTREAM,
    ask,
    assert_serves,
    contact_of,
    ours,
    port_of,
    until,
)

pytestmark = pytest.mark.anyio


# ---- dial-back


async def test_a_port_that_listens_is_reached_and_the_nonce_is_the_proof():
    async with ours(1) as one, ours(2) as two:
        await one.dial(two.addresses[0])
        told = await one.ask_dial_back(two.peer_id, port_of(one))
        assert (told.prober, told.result) == (two.peer_id, "reached")
        assert told.address == f"/ip4/127.0.0.1/tcp/{port_of(one)}"
        assert told.seen_port == told.own_port
        assert two.statistics().dial_backs_served == 1
        # Who was dialled learns nothing of how its own connections leave.
        told = await two.ask_dial_back(one.peer_id, port_of(two))
        assert (told.result, told.seen_port, told.own_port) == ("reached", None, None)
        assert one.statistics().connections == two.statistics().connections == 1


async def test_what_is_not_ours_is_not_reached():
    async with ours(1) as one, ours(2) as two, ours(3) as three:
        await one.dial(two.addresses[0])
        with trio.socket.socket() as closed:
            await closed.bind(("127.0.0.1", 0))
            assert (await one.ask_dial_back(two.peer_id, closed.getsockname()[1])).result == "refused"
        assert (await one.ask_dial_back(two.peer_id, port_of(three))).result == "stranger"
        assert (await one.ask_dial_back(two.peer_id, port_of(two))).result == "stranger"


async def test_a_listener_that_says_nothing_is_given_up(monkeypatch):
    monkeypatch.setattr("peer.swarm.libp2p_host.dial_back.ATTEMPT", 0.5)
    async with ours(1) as one, ours(2) as two:
        await one.dial(two.addresses[0])
        with trio.socket.socket() as silent:
            await silent.bind(("127.0.0.1", 0))
            silent.listen(1)
            told = await one.ask_dial_back(two.peer_id, silent.getsockname()[1])
        assert told.result in ("silent", "stranger")


async def test_a_lie_about_having_reached_us_is_not_believed(monkeypatch):
    async with ours(1) as one, ours(2) as two:

        async def lie(*_):
            return "reached"

        monkeypatch.setattr(two._reach.dial_backs, "_bring", lie)
        await one.dial(two.addresses[0])
        assert (await one.ask_dial_back(two.peer_id, port_of(one))).result == "stranger"


@pytest.mark.parametrize(
    "host", ["2600::dead", "2600::1%x", "::ffff:9.9.9.9", "9.9.9.9/tcp/1", "example", "127.0.0.1%x", "127.1"]
)
async def test_where_we_are_is_told_as_an_address_of_the_family_that_we_use_or_not_at_all(host, monkeypatch):
    async with ours(1) as one, ours(2) as two:
        serve = two._reach.dial_backs.serve

        async def lie(*question):
            return msgspec.structs.replace(await serve(*question), host=host)

        monkeypatch.setattr(two._reach.dial_backs, "serve", lie)
        await one.dial(two.addresses[0])
        with pytest.raises(TransportError, match="sees us"):
            await one.ask_dial_back(two.peer_id, port_of(one))


async def test_a_nonce_that_comes_through_a_relay_proves_nothing():
    async with ours(1) as relay, ours(2) as hidden, ours(3) as prober:
        relay.offer_relay(willing=True)
        contact = await _reserved(hidden, relay)
        await prober.dial(relay.addresses[0])
        nonce, arrived = hidden._reach.dial_backs.expect(libp2p_id(prober.peer_id))
        talk = await prober._reach._talks.open(libp2p_id(relay.peer_id))
        await talk.send(AskCircuit(peer_id=contact.peer_id))
        await talk.hear(Connected)
        raw = _carried(talk.stream, relay.peer_id, initiator=True)
        upgrade = prober._host.swarm.upgrader.upgrade_security
        secured = await upgrade(raw, is_initiator=True, peer_id=libp2p_id(hidden.peer_id))
        protocols, carried = [TProtocol(DIAL_BACK_PROTOCOL)], MultiselectCommunicator(secured)
        await MultiselectClient().select_one_of(protocols, carried, 5)
        await secured.write(nonce)
        with trio.fail_after(10), suppress(Exception):
            assert await secured.read(1) == b""
        assert not arrived.is_set()


async def test_a_nonce_counts_from_who_was_asked_only():
    async with ours(1) as one, ours(2) as two, ours(3) as three:
        nonce, arrived = one._reach.dial_backs.expect(libp2p_id(two.peer_id))
        assert not one._reach.dial_backs.arrived(libp2p_id(three.peer_id), nonce)
        assert not one._reach.dial_backs.arrived(libp2p_id(two.peer_id), secrets.token_bytes(16))
        assert not arrived.is_set()
        assert one._reach.dial_backs.arrived(libp2p_id(two.peer_id), nonce)
        assert arrived.is_set()


async def test_nobody_is_a_tool_for_many_dials():
    async with ours(1) as one, ours(2) as two:
        await one.dial(two.addresses[0])
        for _ in range(PER_HOST):
            await one.ask_dial_back(two.peer_id, port_of(one))
        with pytest.raises(TransportError, match="too many"):
            await one.ask_dial_back(two.peer_id, port_of(one))


async def test_who_is_not_connected_is_not_asked():
    async with ours(1) as one, ours(2) as two:
        with pytest.raises(TransportError, match="not connected"):
            await one.ask_dial_back(two.peer_id, port_of(one))


async def test_dial_back_over_ipv6():
    async with ours(1, listen=["/ip6/::1/tcp/0"]) as one, ours(2, listen=["/ip6/::1/tcp/0"]) as two:
        await one.dial(two.addresses[0])
        told = await one.ask_dial_back(two.peer_id, port_of(one))
        assert (told.result, told.address) == ("reached", f"/ip6/::1/tcp/{port_of(one)}")


# ---- what is announced


async def test_what_is_presented_is_what_others_hear():
    async with ours(1) as one, ours(2) as two:
        assert one.candidates == contact_of(one).addresses
        one.present(["/ip4/192.0.2.7/tcp/9"])
        assert one.addresses == (f"/ip4/192.0.2.7/tcp/9/p2p/{one.peer_id}",)
        await one.dial(two.addresses[0])
        store = two._host.get_peerstore()
        await until(lambda: libp2p_id(one.peer_id) in store.peers_with_addrs())
        assert [str(each) for each in store.addrs(libp2p_id(one.peer_id))] == ["/ip4/192.0.2.7/tcp/9"]


# ---- relays


async def _reserved(peer, relay):
    """Bring a peer behind a relay, and return how others reach it from then on."""
    await peer.dial(relay.addresses[0])
    promised = await peer.reserve(contact_of(relay))
    return Contact(peer.peer_id, promised.circuits)


async def test_a_peer_is_reached_through_a_relay():
    async with ours(1) as relay, ours(2) as hidden, ours(3) as seeker:
        relay.offer_relay(willing=True)
        contact = await _reserved(hidden, relay)
        assert contact.addresses == (f"{contact_of(relay).addresses[0]}/p2p/{relay.peer_id}/p2p-circuit",)
        assert await ask(seeker, contact, b"through?") == b"through?"
        assert seeker.relayed(hidden.peer_id)
        await until(lambda: hidden.relayed(seeker.peer_id))
        assert not hidden.relayed(relay.peer_id)
        assert await ask(hidden, Contact(seeker.peer_id, ()), b"and back") == b"and back"
        carried = relay.statistics().relay
        assert (carried.reservations, carried.circuits, carried.circuits_opened) == (1, 1, 1)
        assert carried.bytes > 0
        assert seeker.statistics().relayed_connections == 1
        await seeker.hang_up(hidden.peer_id)
        await until(lambda: not relay.statistics().relay.circuits)
        assert await seeker.dial(f"{contact.addresses[0]}/p2p/{hidden.peer_id}") == hidden.peer_id


async def test_a_large_transfer_through_a_relay_arrives_whole():
    async with ours(1, relay_rate=1e9) as relay, ours(2) as hidden, ours(3) as seeker:
        relay.offer_relay(willing=True)
        contact = await _reserved(hidden, relay)
        data = secrets.token_bytes(2 << 20)
        stream = await seeker.open_stream(contact, "/test/echo/1")
        received = bytearray()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.send_all, data)
            while len(received) < len(data):
                received += await stream.receive_some(65536)
        assert bytes(received) == data
        await stream.aclose()


async def test_an_address_that_answers_is_preferred_to_a_circuit():
    async with ours(1) as relay, ours(2) as hidden, ours(3) as seeker:
        relay.offer_relay(willing=True)
        contact = await _reserved(hidden, relay)
        both = Contact(hidden.peer_id, (*contact.addresses, *contact_of(hidden).addresses))
        await ask(seeker, both)
        assert not seeker.relayed(hidden.peer_id)
        assert relay.statistics().relay.circuits_opened == 0


async def test_who_offers_nothing_gives_no_reservation():
    async with ours(1) as relay, ours(2) as hidden:
        with pytest.raises(TransportError, match="no relay"):
            await _reserved(hidden, relay)
        relay.offer_relay(willing=True)
        await _reserved(hidden, relay)


async def test_reservations_and_circuits_are_bounded():
    limits = RelayLimits(reservations=1, circuits_per_peer=1)
    async with (
        ours(1, relay=limits) as relay,
        ours(2) as hidden,
        ours(3) as late,
        ours(4) as seeker,
        ours(5) as second,
    ):
        relay.offer_relay(willing=True)
        contact = await _reserved(hidden, relay)
        await _reserved(hidden, relay)  # renewing takes no second place
        with pytest.raises(TransportError, match="all places"):
            await _reserved(late, relay)
        await ask(seeker, contact)
        with pytest.raises(TransportError, match="as many circuits"):
            await ask(second, contact)
        nobody = Contact(late.peer_id, contact.addresses)
        with pytest.raises(TransportError, match="no reservation"):
            await ask(second, nobody)


async def test_a_circuit_ends_after_its_bytes_and_its_seconds():
    for limits in (RelayLimits(circuit_bytes=100_000), RelayLimits(circuit_seconds=0.5)):
        async with ours(1, relay=limits, relay_rate=1e9) as relay, ours(2) as hidden, ours(3) as seeker:
            relay.offer_relay(willing=True)
            stream = await seeker.open_stream(await _reserved(hidden, relay), "/test/echo/1")
            with trio.fail_after(20), suppress(TransportError):
                while True:
                    await stream.send_all(bytes(10_000))
                    if not await stream.receive_some(10_000):
                        break
            await until(lambda: not relay.statistics().relay.circuits)
            await stream.aclose()
            await assert_serves(relay)


async def test_a_relays_rate_is_shared_and_kept():
    async with ours(1, relay_rate=200_000) as relay, ours(2) as hidden, ours(3) as seeker:
        relay.offer_relay(willing=True)
        contact = await _reserved(hidden, relay)
        began = trio.current_time()
        assert len(await ask(seeker, contact, bytes(100_000))) == 100_000
        assert trio.current_time() - began > 0.8  # there and back


async def test_a_reservation_ends_with_the_connection():
    async with ours(1) as relay, ours(2) as hidden, ours(3) as seeker:
        relay.offer_relay(willing=True)
        contact = await _reserved(hidden, relay)
        await hidden.hang_up(relay.peer_id)
        await until(lambda: not relay.connected())
        with pytest.raises(TransportError, match="no reservation"):
            await ask(seeker, contact)


# ---- hostile


async def _says(client, server, *messages):
    """Say frames on a stream of the protocol for reaching, and return what came back."""
    await client.dial(server.addresses[0])
    stream = await client.open_stream(Contact(server.peer_id, ()), REACH_PROTOCOL)
    with trio.fail_after(10), suppress(TransportError):
        for message in messages:
            await stream.send_all(frame(message, 1 << 20))
        return await stream.receive_some(65536)
    return b""


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\x00",
        secrets.token_bytes(100),
        bytes(MAX_REACH + 1),
        encode(Connected()),
        encode(PunchNow()),
        encode(Incoming(peer_id="12D3KooWMbbPVGsZYh3ChQjue712NHHGNybRRXwnuSpezYjGbCDS")),
    ],
    ids=["nothing", "a byte", "noise", "too long", "an answer", "out of turn", "a circuit nobody asked for"],
)
async def test_nonsense_costs_its_stream(message):
    async with ours(1) as one, ours(2) as two:
        failures = two.statistics().handler_failures
        assert await _says(one, two, message) == b""
        await until(lambda: two.statistics().handler_failures == failures + 1)
        await assert_serves(two)


async def test_a_relay_that_brings_another_than_it_says_brings_nobody():
    async with ours(1) as relay, ours(2) as hidden, ours(3) as seeker:
        relay.offer_relay(willing=True)
        contact = await _reserved(hidden, relay)
        deliver = relay._reach.relay._deliver

        async def lie(target, source):
            return await deliver(target, relay.peer_id)

        relay._reach.relay._deliver = lie
        with pytest.raises(TransportError):
            await ask(seeker, contact)
        assert seeker.peer_id not in hidden.connected()
        await assert_serves(hidden)


ENDLESS = MULTISTREAM + b"\x80\x80\x80\x80\x08" + bytes(100_000)
"""A protocol's name of 2 GB."""
PATIENT = ConnectionLimits(handshake=60, dial=60)


async def test_a_handshake_without_end_that_comes_through_a_relay_is_cut_short():
    async with ours(1, relay_rate=1e9) as relay, ours(2, limits=PATIENT) as hidden, ours(3) as seeker:
        relay.offer_relay(willing=True)
        await _reserved(hidden, relay)
        await seeker.dial(relay.addresses[0])
        talk = await seeker._reach._talks.open(libp2p_id(relay.peer_id))
        await talk.send(AskCircuit(peer_id=hidden.peer_id))
        await talk.hear(Connected)
        with trio.fail_after(20), suppress(TransportError):
            await talk.stream.send_all(ENDLESS)
            while await talk.stream.receive_some(65536):
                pass
        await until(lambda: not hidden._reach.circuits._accepted)
        await assert_serves(hidden)


async def test_a_handshake_without_end_of_whom_we_reach_through_a_relay_is_cut_short():
    async with ours(1, relay_rate=1e9) as relay, ours(2) as hidden, ours(3, limits=PATIENT) as seeker:
        relay.offer_relay(willing=True)
        contact = await _reserved(hidden, relay)

        async def ramble(talk, _):
            await talk.send(Connected())
            await talk.stream.send_all(ENDLESS)
            await trio.sleep_forever()

        hidden._reach.circuits.accept = ramble
        with trio.fail_after(20), pytest.raises(TransportError):
            await seeker.open_stream(contact, "/test/echo/1")


async def test_a_target_that_does_not_answer_is_declined():
    async with ours(1) as relay, ours(2) as hidden, ours(3) as seeker:
        relay.offer_relay(willing=True)
        contact = await _reserved(hidden, relay)
        hidden._reach.circuits._reserved.clear()  # as if it had forgotten
        with pytest.raises(TransportError, match="did not take"):
            await ask(seeker, contact)
        answer = await _says(seeker, relay, encode(AskCircuit(peer_id="x" * 64)))
        assert b"no reservation" in answer
