"""Guards 1 and 2: what a stream brings ends that stream, and not the host."""

import gc
import warnings

import pytest
import trio

from peer.swarm.libp2p_host import ConnectionLimits
from peer.swarm.libp2p_host.host import GuardedHost
from peer.swarm.transport import Stream, TransportError
from tests.peer.swarm.libp2p_host.support import (
    MULTISTREAM,
    assert_serves,
    befriend,
    contact_of,
    ours,
    stock,
    until,
)

pytestmark = pytest.mark.anyio

NOT_UTF8 = MULTISTREAM + b"\x05\xff\xfe\xfd\xfc\n"


@pytest.fixture
def unguarded(monkeypatch):
    monkeypatch.delattr(GuardedHost, "_swarm_stream_handler")
    yield
    # A host that dies of an exception leaves its sockets to the garbage collector.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


async def fail(stream: Stream) -> None:
    await stream.receive_some(1)
    raise RuntimeError("a bug, or a lie")


async def test_handler_failure_ends_an_unguarded_host(unguarded):
    async def attack() -> None:
        async with ours(1) as one, ours(2) as two:
            two.handle("/test/fail/1", fail)
            stream = await one.open_stream(contact_of(two), "/test/fail/1")
            await stream.send_all(b"?")
            await trio.sleep_forever()

    with pytest.raises(RuntimeError, match="a lie"), trio.fail_after(10):
        await attack()


async def test_handler_failure_is_counted():
    async with ours(1) as one, ours(2) as two:
        two.handle("/test/fail/1", fail)
        for count in range(1, 4):
            stream = await one.open_stream(contact_of(two), "/test/fail/1")
            await stream.send_all(b"?")
            await until(lambda count=count: two.statistics().handler_failures == count)
        await assert_serves(two)


async def test_invalid_protocol_name_ends_an_unguarded_host(unguarded):
    async def attack() -> None:
        async with ours(1) as victim, stock(2) as attacker:
            muxed = await befriend(attacker, victim)
            await (await muxed.open_stream()).write(NOT_UTF8)
            await trio.sleep_forever()

    with pytest.raises(UnicodeDecodeError), trio.fail_after(10):
        await attack()


async def test_invalid_protocol_names_are_counted():
    greetings = {
        "not utf-8": NOT_UTF8,
        "huge varint": MULTISTREAM + b"\xff" * 9 + b"\x7f",
        "two gigabytes": MULTISTREAM + b"\x80\x80\x80\x80\x08" + b"A" * 1000,
        "empty": MULTISTREAM + b"\x00",
        "zeros": bytes(5000),
    }
    async with stock(2) as attacker, ours(1, limits=ConnectionLimits(handshake=1)) as victim:
        muxed = await befriend(attacker, victim)
        for greeting in greetings.values():
            stream = await muxed.open_stream()
            await stream.write(greeting)
        await until(lambda: victim.statistics().handler_failures == len(greetings))
        await assert_serves(victim)


async def test_stream_without_a_protocol_is_given_up():
    async with stock(2) as attacker, ours(1, limits=ConnectionLimits(handshake=1)) as victim:
        muxed = await befriend(attacker, victim)
        await muxed.open_stream()
        await until(lambda: victim.statistics().handler_failures == 1)


@pytest.mark.parametrize("limits", [ConnectionLimits(streams_per_peer=4), ConnectionLimits(streams=4)])
async def test_streams_served_at_once_are_bounded(limits):
    serving = 0

    async def hold(stream: Stream) -> None:
        nonlocal serving
        serving += 1
        await trio.sleep_forever()

    async with ours(1) as one, ours(2, limits=limits) as two:
        two.handle("/test/hold/1", hold)
        await one.dial(two.addresses[0])
        await until(lambda: not one._host._identify_inflight and not two._host._serving)
        held = [await one.open_stream(contact_of(two), "/test/hold/1") for _ in range(4)]
        with pytest.raises(TransportError):
            await one.open_stream(contact_of(two), "/test/hold/1")
        assert serving == 4
        for stream in held:
            await stream.reset()
