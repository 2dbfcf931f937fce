"""Real sockets through a shaped link."""

from contextlib import suppress

import pytest
import trio

from peer.links.ladder import MBIT, even
from peer.links.shaper import Shaper

pytestmark = pytest.mark.anyio
SIZE = 8_000_000


@pytest.fixture
def anyio_backend():
    return "trio"


async def _serve(stream):
    """Echo one byte, then send as much as can be."""
    await stream.send_all(await stream.receive_some(1))
    await stream.send_all(bytes(SIZE))


async def _fetch(port, times):
    async with await trio.open_tcp_stream("127.0.0.2", port) as stream:
        began = trio.current_time()
        await stream.send_all(b"?")
        assert await stream.receive_some(1) == b"?"
        times.append(trio.current_time() - began)
        left = SIZE
        while left:
            left -= len(await stream.receive_some(1 << 20))


async def test_a_gigabit_at_100_ms_is_carried():
    """Four connections move 32 MB, for which 1 Gbit/s takes 0.26 s; a busy machine has thrice as long."""
    shaper = Shaper(even("far", 0.1, 1000 * MBIT, slow_start=False))
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    times = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, _serve, listeners)
        async with shaper.forwarding(listeners[0].socket.getsockname()[1]) as port:
            began = trio.current_time()
            async with trio.open_nursery() as fetching:
                for _ in range(4):
                    fetching.start_soon(_fetch, port, times)
            took = trio.current_time() - began
        nursery.cancel_scope.cancel()
    # The handshake of TCP and the echo are two round trips.
    assert 0.2 <= min(times) < 0.3
    assert 0.2 + 4 * SIZE / (1000 * MBIT) <= took < 0.2 + 3 * 4 * SIZE / (1000 * MBIT)
    assert shaper.connections == 4


async def test_cutting_breaks_what_is_open_and_the_next_call_is_taken():
    shaper = Shaper(even("near", 0.001, 100 * MBIT))
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")

    async def echo(stream):
        async for data in stream:
            await stream.send_all(data)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, echo, listeners)
        async with shaper.forwarding(listeners[0].socket.getsockname()[1]) as port:
            for _ in range(2):
                stream = await trio.open_tcp_stream("127.0.0.2", port)
                await stream.send_all(b"!")
                assert await stream.receive_some(1) == b"!"
                shaper.cut()
                with trio.fail_after(5):
                    with suppress(trio.BrokenResourceError):
                        assert await stream.receive_some(1) == b""
                await stream.aclose()
        nursery.cancel_scope.cancel()
