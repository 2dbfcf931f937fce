"""The in-memory twin keeps the transport's promises."""

import pytest
import trio

from peer.simulate.network import Link, Network
from peer.swarm.transport import Contact, TransportError
from protocol.identity import Identity
from tests.peer.swarm.pipes import ONE, TWO, two_peers

pytestmark = pytest.mark.anyio
RELAY = Identity(b"3" * 32)


@pytest.fixture
def anyio_backend():
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


async def _echo(stream):
    while data := await stream.receive_some(1000):
        await stream.send_all(data)


async def test_bytes_take_the_links_delay_and_rate():
    async with two_peers("/echo", _echo) as (network, caller, _, contact):
        network.link = Link(delay=0.5, rate=1000)
        stream = await caller.open_stream(contact, "/echo")
        began = trio.current_time()
        await stream.send_all(bytes(1000))
        assert await stream.receive_some(1000) == bytes(1000)
        assert trio.current_time() - began == pytest.approx(2 * (0.5 + 1.0))


async def test_a_killed_peer_ends_its_streams_and_a_frozen_one_does_not():
    async with two_peers("/echo", _echo) as (network, caller, _, contact):
        stream = await caller.open_stream(contact, "/echo")
        network.freeze(contact.peer_id)
        await stream.send_all(b"x")
        with trio.move_on_after(60) as frozen:
            await stream.receive_some(1)
        assert frozen.cancelled_caught
        network.kill(contact.peer_id)
        assert await stream.receive_some(1) == b""
        with pytest.raises(TransportError):
            await caller.open_stream(contact, "/echo")


async def test_a_handler_that_raises_costs_its_stream_only():
    async def broken(stream):
        raise RuntimeError("hostile bytes found a bug")

    async with two_peers("/echo", broken) as (_, caller, callee, contact):
        for _ in range(3):
            stream = await caller.open_stream(contact, "/echo")
            assert await stream.receive_some(1) == b""
        assert callee.statistics().handler_failures == 3


async def test_what_nobody_speaks_cannot_be_opened():
    network = Network()
    one = network.add(ONE.peer_id)
    network.add(TWO.peer_id)
    with pytest.raises(TransportError, match="does not speak"):
        await one.open_stream(Contact(TWO.peer_id, ()), "/nothing")


async def test_a_hidden_peer_dials_and_is_called_back_but_not_dialled():
    async with two_peers("/echo", _echo) as (network, caller, callee, contact):
        network.hide(contact.peer_id)
        with pytest.raises(TransportError, match="behind a router"):
            await caller.open_stream(contact, "/echo")
        await callee.dial(f"/p2p/{caller.peer_id}")
        assert list(caller.connected()) == [contact.peer_id]
        stream = await caller.open_stream(contact, "/echo")
        await stream.send_all(b"x")
        assert await stream.receive_some(1) == b"x"
        await callee.hang_up(caller.peer_id)
        with pytest.raises(TransportError, match="behind a router"):
            await caller.open_stream(contact, "/echo")


async def test_a_hidden_peer_is_reached_through_a_relay_that_is_willing():
    async with two_peers("/echo", _echo) as (network, caller, callee, contact):
        relay = network.add(RELAY.peer_id)
        network.hide(contact.peer_id)
        with pytest.raises(TransportError, match="no relay"):
            await callee.reserve(Contact(relay.peer_id, ()))
        relay.offer_relay(willing=True)
        promised = await callee.reserve(Contact(relay.peer_id, ()))
        assert promised.circuits == (f"/memory/{relay.peer_id}/p2p/{relay.peer_id}/p2p-circuit",)
        assert not caller.relayed(contact.peer_id)
        await caller.open_stream(contact, "/echo")
        assert caller.relayed(contact.peer_id)
        assert not caller.relayed(relay.peer_id)
        network.kill(relay.peer_id)
        with pytest.raises(TransportError, match="behind a router"):
            await caller.open_stream(contact, "/echo")


async def test_dial_back_tells_who_is_hidden():
    async with two_peers("/echo", _echo) as (network, caller, callee, contact):
        with pytest.raises(TransportError, match="not connected"):
            await callee.ask_dial_back(caller.peer_id, 1)
        await callee.dial(f"/p2p/{caller.peer_id}")
        assert (await callee.ask_dial_back(caller.peer_id, 1)).result == "reached"
        network.hide(contact.peer_id)
        assert (await callee.ask_dial_back(caller.peer_id, 1)).result == "silent"


async def test_nothing_crosses_a_cut_until_it_is_mended():
    async with two_peers("/echo", _echo) as (network, caller, _, contact):
        stream = await caller.open_stream(contact, "/echo")
        network.part([contact.peer_id])
        assert await stream.receive_some(1) == b""
        with pytest.raises(TransportError):
            await caller.open_stream(contact, "/echo")
        network.part()
        stream = await caller.open_stream(contact, "/echo")
        await stream.send_all(b"x")
        assert await stream.receive_some(1) == b"x"


async def test_the_streams_of_a_peer_share_its_uplink():
    async with two_peers("/echo", _echo) as (network, caller, _, contact):
        network.link, network.uplinks[caller.peer_id] = Link(delay=0.0), Link(delay=0.0, rate=1000)
        began = trio.current_time()

        async def send() -> None:
            stream = await caller.open_stream(contact, "/echo")
            await stream.send_all(bytes(1000))
            received = b""
            while len(received) < 1000:
                received += await stream.receive_some(1000)

        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(send)
        assert trio.current_time() - began == pytest.approx(3.0)
