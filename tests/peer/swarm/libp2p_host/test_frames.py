"""Whole frames: a cancelled sender leaves its connection usable, and a frozen peer holds nobody up."""

import signal

import pytest
import trio
import trio.testing
from libp2p.io.exceptions import ConnectionClosedError
from libp2p.stream_muxer.yamux.yamux import DEFAULT_WINDOW_SIZE, HEADER_SIZE, Yamux

from peer.swarm.libp2p_host import ConnectionLimits
from peer.swarm.libp2p_host.frames import FrameQueue
from peer.swarm.libp2p_host.muxer import GuardedYamux
from peer.swarm.transport import Contact, Stream, TransportError
from tests.peer.swarm.libp2p_host.child import SINK
from tests.peer.swarm.libp2p_host.support import ask, child, ours

pytestmark = pytest.mark.anyio

PATIENT = ConnectionLimits(ping_every=1000, ping_within=1000, dial=5)
CONTROL = bytes(HEADER_SIZE)
DATA = bytes(HEADER_SIZE + 1)


async def put_many(queue: FrameQueue, frame: bytes) -> None:
    for _ in range(5000):
        await queue.put(frame)


async def send_for_ever(stream: Stream) -> None:
    while True:
        await stream.send_all(bytes(DEFAULT_WINDOW_SIZE))


async def test_frames_keep_their_order():
    written: list[bytes] = []

    async def write(frame: bytes) -> None:
        await trio.lowlevel.checkpoint()
        written.append(frame)

    queue = FrameQueue(write)
    frames = [DATA + bytes([i]) if i % 3 else CONTROL[:-1] + bytes([i]) for i in range(100)]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(queue.run)
        for frame in frames:
            await queue.put(frame)
        await queue.flush()
        nursery.cancel_scope.cancel()
    assert written == frames


async def test_control_frames_do_not_wait_and_data_frames_do():
    async def stuck(frame: bytes) -> None:
        await trio.sleep_forever()

    queue = FrameQueue(stuck)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(queue.run)
        await queue.put(DATA)
        await queue.put(DATA)
        with trio.move_on_after(0.01) as waiting:
            await queue.put(DATA)
        assert waiting.cancelled_caught
        with trio.fail_after(1):
            for _ in range(100):
                await queue.put(CONTROL)
            with pytest.raises(ConnectionClosedError, match="unread"):
                await put_many(queue, CONTROL)
        nursery.cancel_scope.cancel()


async def test_waiting_senders_learn_of_the_end():
    failed = 0

    async def stuck(frame: bytes) -> None:
        await trio.sleep_forever()

    async def send() -> None:
        nonlocal failed
        with pytest.raises(ConnectionClosedError):
            await put_many(queue, DATA)
        failed += 1

    queue = FrameQueue(stuck)
    async with trio.open_nursery() as senders, trio.open_nursery() as nursery:
        nursery.start_soon(queue.run)
        for _ in range(5):
            senders.start_soon(send)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert failed == 5
    with trio.fail_after(1):
        await queue.flush()


@pytest.mark.processes
@pytest.mark.parametrize("guarded", [True, False])
async def test_cancelled_send_leaves_the_connection_whole(monkeypatch, guarded):
    """Fill every buffer between us and a frozen peer, give up in the middle, and let it go on."""
    if not guarded:
        monkeypatch.delattr(GuardedYamux, "_write_frame")
        assert GuardedYamux._write_frame is Yamux._write_frame
    async with ours(1, limits=PATIENT) as one, child(2) as (process, address):
        peer = Contact(await one.dial(address), ())
        streams = [await one.open_stream(peer, SINK) for _ in range(60)]
        process.send_signal(signal.SIGSTOP)
        with trio.move_on_after(1):
            async with trio.open_nursery() as nursery:
                for stream in streams:
                    nursery.start_soon(stream.send_all, bytes(DEFAULT_WINDOW_SIZE))
        process.send_signal(signal.SIGCONT)
        if guarded:
            assert await ask(one, peer)
            assert one.statistics().connections == 1
        else:
            with pytest.raises((TransportError, trio.TooSlowError)), trio.fail_after(2):
                await ask(one, peer)


@pytest.mark.processes
async def test_frozen_peer_holds_nobody_up():
    limits = ConnectionLimits(ping_every=0.2, ping_within=0.5, dial=1)
    async with ours(1, limits=limits) as one, child(2) as (process, address):
        peer = Contact(await one.dial(address), (address.partition("/p2p/")[0],))
        streams = [await one.open_stream(peer, SINK) for _ in range(60)]
        process.send_signal(signal.SIGSTOP)
        with trio.fail_after(5):
            async with trio.open_nursery() as nursery:

                async def send_until_it_fails(stream):
                    with pytest.raises(TransportError):
                        await send_for_ever(stream)

                for stream in streams:
                    nursery.start_soon(send_until_it_fails, stream)
        assert not one.connected()
        with trio.fail_after(1.5), pytest.raises(TransportError):
            await one.open_stream(peer, SINK)
        for stream in streams:
            await stream.aclose()


@pytest.mark.processes
async def test_hanging_up_on_a_frozen_peer_is_prompt():
    async with ours(1, limits=PATIENT) as one, child(2) as (process, address):
        peer = Contact(await one.dial(address), ())
        streams = [await one.open_stream(peer, SINK) for _ in range(60)]
        process.send_signal(signal.SIGSTOP)
        with trio.move_on_after(1):
            async with trio.open_nursery() as nursery:
                for stream in streams:
                    nursery.start_soon(stream.send_all, bytes(DEFAULT_WINDOW_SIZE))
        with trio.fail_after(1):
            for stream in streams:
                await stream.reset()
        with trio.fail_after(3):
            await one.hang_up(peer.peer_id)
        assert not one.connected()
