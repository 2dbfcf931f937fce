import hashlib
import os
from contextlib import suppress

import pytest
import trio

from peer.swarm.libp2p_host import ConnectionLimits
from peer.swarm.transport import Contact, Stream, TransportError
from protocol.identity import Identity
from tests.peer.swarm.libp2p_host.support import (
    ECHO,
    LOOPBACK,
    ask,
    assert_serves,
    contact_of,
    ours,
    stock,
    until,
)

pytestmark = pytest.mark.anyio
STRANGER = "12D3KooWMbbPVGsZYh3ChQjue712NHHGNybRRXwnuSpezYjGbCDS"


async def send_for_ever(stream: Stream) -> None:
    while True:
        await stream.send_all(b"still there?")


async def test_two_hosts_answer_each_other():
    async with ours(1) as one, ours(2) as two:
        assert await one.dial(two.addresses[0]) == two.peer_id
        assert await ask(one, contact_of(two), b"hello") == b"hello"
        assert await ask(two, Contact(one.peer_id, ()), b"and back") == b"and back"
        assert list(one.connected()) == [two.peer_id]
        counted = one.statistics()
        assert (counted.connections, counted.streams_opened, counted.streams_accepted) == (1, 1, 1)
        assert (counted.bytes_sent, counted.bytes_received) == (13, 13)


async def test_stream_names_the_peer_that_proved_itself():
    seen: list[str] = []
    async with ours(1) as one, ours(2) as two:

        async def note(stream: Stream) -> None:
            seen.append(stream.peer_id)

        two.handle("/test/note/1", note)
        stream = await one.open_stream(contact_of(two), "/test/note/1")
        assert stream.peer_id == two.peer_id
        assert await stream.receive_some(10) == b""
        assert seen == [one.peer_id]


async def test_large_transfer_arrives_whole():
    data = os.urandom(32 << 20)
    async with ours(1) as one, ours(2) as two:
        received = hashlib.sha256()
        ended = trio.Event()

        async def digest(stream: Stream) -> None:
            while chunk := await stream.receive_some(1 << 20):
                received.update(chunk)
            ended.set()

        two.handle("/test/digest/1", digest)
        stream = await one.open_stream(contact_of(two), "/test/digest/1")
        for start in range(0, len(data), 1 << 20):
            await stream.send_all(memoryview(data)[start : start + (1 << 20)])
        await stream.aclose()
        await ended.wait()
        assert received.digest() == hashlib.sha256(data).digest()


@pytest.mark.parametrize("how", ["reset", "hang up"])
async def test_cut_stream_looks_like_its_end(how):
    async with ours(1) as one, ours(2) as two:

        async def cut(stream: Stream) -> None:
            await stream.send_all(b"half of")
            await stream.receive_some(1)
            if how == "reset":
                await stream.reset()
            else:
                await two.hang_up(one.peer_id)

        two.handle("/test/cut/1", cut)
        stream = await one.open_stream(contact_of(two), "/test/cut/1")
        assert await stream.receive_some(100) == b"half of"
        await stream.send_all(b"!")
        with suppress(TransportError):  # the other thing that a caller is ready for
            assert await stream.receive_some(100) == b""
        await stream.aclose()
        await assert_serves(two)


async def test_handler_that_raises_costs_its_stream():
    async with ours(1) as one, ours(2) as two:

        async def fail(stream: Stream) -> None:
            await stream.receive_some(100)
            raise RuntimeError("a bug, or a lie")

        two.handle("/test/fail/1", fail)
        stream = await one.open_stream(contact_of(two), "/test/fail/1")
        with pytest.raises(TransportError):
            await send_for_ever(stream)
        assert two.statistics().handler_failures == 1
        await assert_serves(two)


async def test_closed_stream_is_forgotten_though_the_peer_keeps_its_side_open():
    async with ours(1) as one, ours(2) as two:
        held: list[Stream] = []

        async def hold(stream: Stream) -> None:
            held.append(stream)
            await trio.sleep_forever()

        two.handle("/test/hold/1", hold)
        stream = await one.open_stream(contact_of(two), "/test/hold/1")
        muxed = one._host.swarm.get_connections()[0].muxed_conn
        assert stream._stream.muxed_stream.stream_id in muxed.streams
        await stream.aclose()
        assert stream._stream.muxed_stream.stream_id not in muxed.streams


async def test_using_a_stream_after_its_connection_ended_raises():
    async with ours(1) as one, ours(2) as two:
        stream = await one.open_stream(contact_of(two), ECHO)
        await one.hang_up(two.peer_id)
        assert not one.connected()
        with pytest.raises(TransportError):
            await stream.send_all(b"anybody?")
        await stream.aclose()
        await stream.reset()
        await until(lambda: not two.connected())


async def test_protocol_that_nobody_serves():
    async with ours(1) as one, ours(2) as two:
        with pytest.raises(TransportError, match="takes no stream"):
            await one.open_stream(contact_of(two), "/test/unknown/1")
        assert await ask(one, contact_of(two))


@pytest.mark.parametrize(
    "address",
    [
        "",
        "nonsense",
        "/ip4/127.0.0.1/tcp/1",
        "/ip4/127.0.0.1/tcp/1/p2p/",
        "/ip4/127.0.0.1/tcp/1/p2p/QmNotAnEd25519Key",
        f"/ip4/127.0.0.1/tcp/1/p2p/{STRANGER}",
        f"/ip4/127.0.0.1/udp/1/quic-v1/p2p/{STRANGER}",
        f"/ip4/300.0.0.1/tcp/1/p2p/{STRANGER}",
        f"/dns4/does-not-exist.invalid/tcp/1/p2p/{STRANGER}",
    ],
)
async def test_address_that_leads_nowhere(address):
    async with ours(1) as one:
        with pytest.raises(TransportError):
            await one.dial(address)


async def test_other_peer_at_the_address():
    async with ours(1) as one, ours(2) as two:
        address = f"{contact_of(two).addresses[0]}/p2p/{STRANGER}"
        with pytest.raises(TransportError):
            await one.dial(address)
        assert not one.connected()


async def test_own_address():
    async with ours(1) as one:
        with pytest.raises(TransportError, match="our own"):
            await one.dial(one.addresses[0])


async def test_name_is_looked_up():
    async with ours(1) as one, ours(2) as two:
        address = two.addresses[0].replace("/ip4/127.0.0.1/", "/dns4/localhost/")
        assert await one.dial(address) == two.peer_id


async def test_silent_listener_is_given_up_in_time():
    async with ours(1, limits=ConnectionLimits(dial=0.3)) as one:
        with trio.socket.socket() as silent:
            await silent.bind(("127.0.0.1", 0))
            silent.listen(5)
            address = f"/ip4/127.0.0.1/tcp/{silent.getsockname()[1]}/p2p/{STRANGER}"
            with trio.fail_after(2), pytest.raises(TransportError):
                await one.dial(address)
            with trio.move_on_after(0.05) as impatient:
                await one.dial(address)
            assert impatient.cancelled_caught


async def test_cancelled_calls_leave_the_connection_whole():
    async with ours(1) as one, ours(2) as two:

        async def hold(stream: Stream) -> None:
            await trio.sleep_forever()

        two.handle("/test/hold/1", hold)
        stream = await one.open_stream(contact_of(two), "/test/hold/1")
        for step in range(20):
            with trio.move_on_after(0.0005 * step):
                await one.open_stream(contact_of(two), ECHO)
            with trio.move_on_after(0.0005 * step):
                await stream.receive_some(100)
            with trio.move_on_after(0.0005 * step):
                await stream.send_all(bytes(65536))
        await stream.reset()
        assert await ask(one, contact_of(two))
        assert one.statistics().connections == 1


async def test_stock_peer_is_served():
    async with ours(1) as one, stock(2) as other:

        async def serve(stream):
            await stream.write(await stream.read(100))
            await stream.close()

        other.set_stream_handler(ECHO, serve)
        address = str(other.get_addrs()[0])
        assert await one.dial(address) == other.get_id().to_base58()
        assert await ask(one, Contact(other.get_id().to_base58(), ())) == b"are you there?"


async def test_peers_identity_is_that_of_its_key():
    async with ours(1) as one:
        assert one.peer_id == Identity((1).to_bytes(32, "big")).peer_id
        assert one.addresses[0].startswith(LOOPBACK[0].removesuffix("0"))
        assert one.addresses[0].endswith(f"/p2p/{one.peer_id}")


@pytest.mark.parametrize(
    ("listen", "host"), [("/ip4/127.0.0.1/tcp/0", "127.0.0.1"), ("/ip6/::1/tcp/0", "::1")]
)
async def test_both_ends_know_at_which_address_they_are_connected(listen, host):
    async with ours(1, [listen]) as one, ours(2, [listen]) as two:
        assert one.direct_host(two.peer_id) is None
        await ask(one, contact_of(two))
        assert one.direct_host(two.peer_id) == two.direct_host(one.peer_id) == host
