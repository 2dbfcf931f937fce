"""Guards 5 and 6: a peer cannot fill our memory, and a frozen one does not stay."""

import struct
from contextlib import suppress

import pytest
import trio
from libp2p.stream_muxer.yamux.yamux import (
    DEFAULT_WINDOW_SIZE,
    FLAG_SYN,
    TYPE_DATA,
    TYPE_PING,
    TYPE_WINDOW_UPDATE,
)

from peer.swarm.libp2p_host import ConnectionLimits, muxer
from peer.swarm.libp2p_host.muxer import MAX_FRAME, MAX_STREAMS, GuardedYamux
from peer.swarm.transport import Stream
from tests.peer.swarm.libp2p_host.support import assert_serves, befriend, contact_of, ours, stock, until

pytestmark = pytest.mark.anyio

HOLD = "/test/hold/1"


def frame(kind: int, flags: int, stream: int, length: int, body: bytes = b"") -> bytes:
    return struct.pack("!BBHII", 0, kind, flags, stream, length) + body


async def hold(stream: Stream) -> None:
    await trio.sleep_forever()


def buffered(host) -> int:
    """Bytes that a host holds for streams nobody reads."""
    return sum(
        len(buffer)
        for connection in host._host.swarm.get_connections()
        for buffer in connection.muxed_conn.stream_buffers.values()
    )


async def overrun(attacker, victim, times: int) -> None:
    """Send whole windows to a reader that does not read."""
    victim.handle(HOLD, hold)
    muxed = await befriend(attacker, victim)
    stream = await attacker.new_stream(muxed.peer_id, [HOLD])
    body = bytes(65000)
    for _ in range(times * DEFAULT_WINDOW_SIZE // len(body)):
        await muxed._write_frame(frame(TYPE_DATA, 0, stream.muxed_stream.stream_id, len(body), body))


async def test_window_overrun_ends_the_connection():
    async with stock(2) as attacker, ours(1) as victim:
        with trio.move_on_after(5):
            with suppress(Exception):  # the victim hangs up somewhere on the way
                await overrun(attacker, victim, times=100)
        await until(lambda: not victim.connected())
        assert buffered(victim) == 0
        await assert_serves(victim)


async def test_window_overrun_is_buffered_unguarded(monkeypatch):
    monkeypatch.delattr(muxer._Buffer, "extend")
    async with stock(2) as attacker, ours(1) as victim:
        await overrun(attacker, victim, times=10)
        await until(lambda: buffered(victim) > 9 * DEFAULT_WINDOW_SIZE)


async def test_oversized_frame_ends_the_connection():
    async with stock(2) as attacker, ours(1) as victim:
        muxed = await befriend(attacker, victim)
        await muxed._write_frame(frame(TYPE_DATA, 0, 1, MAX_FRAME + 1))
        await until(lambda: not victim.connected())
        await assert_serves(victim)


@pytest.mark.parametrize("guarded", [True, False])
async def test_streams_of_a_connection_are_bounded(monkeypatch, guarded):
    if not guarded:
        monkeypatch.delattr(muxer._Buffers, "__setitem__")
    flood = b"".join(frame(TYPE_WINDOW_UPDATE, FLAG_SYN, 100_001 + 2 * i, 0) for i in range(2 * MAX_STREAMS))
    limits = ConnectionLimits(streams_per_peer=4 * MAX_STREAMS, streams=4 * MAX_STREAMS)
    async with stock(2) as attacker, ours(1, limits=limits) as victim:
        muxed = await befriend(attacker, victim)
        await muxed._write_frame(flood)
        if guarded:
            await until(lambda: not victim.connected())
            await assert_serves(victim)
        else:
            theirs = victim._host.swarm.get_connections()[0].muxed_conn
            await until(lambda: len(theirs.streams) > MAX_STREAMS)


async def test_garbage_frames():
    garbage = {
        "bytes": bytes(range(256)) * 20,
        "unknown type": frame(9, 77, 1, 0) * 100,
        "resets of unknown streams": b"".join(frame(TYPE_WINDOW_UPDATE, 8, i, 0) for i in range(2000)),
        "4 GB": frame(TYPE_DATA, 0, 1, 0xFFFFFFFF),
        "odd goodbye": frame(3, 0, 0, 999),
        "reset on arrival": frame(TYPE_WINDOW_UPDATE, FLAG_SYN | 8, 101, 0) * 50,
    }
    async with ours(1) as victim:
        for frames in garbage.values():
            async with stock(2) as attacker:
                muxed = await befriend(attacker, victim)
                await muxed.secured_conn.write(frames)
        await assert_serves(victim)


async def test_peer_that_asks_and_never_reads_is_dropped():
    limits = ConnectionLimits(ping_every=1000, ping_within=1000)
    async with stock(2) as attacker, ours(1, limits=limits) as victim:
        muxed = await befriend(attacker, victim)
        # Its TCP window closes, our answers pile up; they may not for ever.
        muxed._nursery.cancel_scope.cancel()
        pings = frame(TYPE_PING, FLAG_SYN, 0, 1) * 5000
        with trio.move_on_after(20):
            with suppress(Exception):
                while victim.connected():
                    await muxed.secured_conn.write(pings)
        await until(lambda: not victim.connected())
        await assert_serves(victim)


FAST = ConnectionLimits(ping_every=0.1, ping_within=0.3)


@pytest.mark.parametrize("guarded", [True, False])
async def test_peer_that_stops_answering_is_dropped(monkeypatch, guarded):
    if not guarded:
        monkeypatch.delattr(GuardedYamux, "_measure_rtt_loop")
    async with ours(2) as frozen, ours(1, limits=FAST) as one:
        await one.dial(frozen.addresses[0])
        await until(frozen.connected)

        async def say_nothing(data: bytes) -> None:
            pass

        frozen._host.swarm.get_connections()[0].muxed_conn._write_frame = say_nothing
        with trio.move_on_after(2):
            await until(lambda: not one.connected())
        assert list(one.connected()) == ([] if guarded else [frozen.peer_id])


async def test_reader_of_a_dropped_connection_is_woken():
    async with ours(2) as frozen, ours(1, limits=FAST) as one:
        frozen.handle(HOLD, hold)
        stream = await one.open_stream(contact_of(frozen), HOLD)

        async def say_nothing(data: bytes) -> None:
            pass

        frozen._host.swarm.get_connections()[0].muxed_conn._write_frame = say_nothing
        with trio.fail_after(5):
            assert await stream.receive_some(1) == b""


async def test_answering_peer_stays():
    async with ours(2) as two, ours(1, limits=FAST) as one:
        await one.dial(two.addresses[0])
        muxed = one._host.swarm.get_connections()[0].muxed_conn
        await until(lambda: muxed._ping_id > 5)
        assert list(one.connected()) == [two.peer_id]
        assert 0 < muxed.rtt() < 0.3


async def test_goodbye_arrives_before_the_connection_closes():
    async with ours(2) as two:
        heard: list[bytes] = []

        async def listen(stream: Stream) -> None:
            while data := await stream.receive_some(100_000):
                heard.append(data)

        two.handle("/test/goodbye/1", listen)
        async with ours(1) as one:
            stream = await one.open_stream(contact_of(two), "/test/goodbye/1")
            await stream.send_all(b"goodbye" * 10_000)
            await stream.aclose()
        await until(lambda: sum(map(len, heard)) == 70_000)
