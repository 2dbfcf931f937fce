"""The daemon's side of the control socket, on a virtual clock."""

from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio

from peer.daemon.control import CONNECTIONS, IDLE, ControlServer
from protocol.codec import decode, encode
from protocol.control import MAX_CONTROL, AskStatus, AskStop, ControlAnswer, Status, Stopping
from protocol.frames import FrameDecoder, frame
from tests.peer.daemon.controls import STATUS, commands, socket_folder, status

ASK = frame(encode(AskStatus()), MAX_CONTROL)


@pytest.fixture
def anyio_backend():
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


@asynccontextmanager
async def _served(tell=lambda: STATUS, stop=lambda: None):
    """Yield a function that calls the server."""
    with socket_folder() as folder:
        path = folder / "control.sock"
        server = ControlServer(path, commands(tell, stop))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.run)
            await server.serving.wait()
            yield partial(trio.open_unix_socket, str(path))
            nursery.cancel_scope.cancel()


async def _hear(stream):
    decoder = FrameDecoder(MAX_CONTROL)
    while not (bodies := decoder.feed(await _some(stream))):
        pass
    (body,) = bodies
    return decode(body, ControlAnswer, MAX_CONTROL)


async def _some(stream):
    data = await stream.receive_some(65536)
    assert data, "it hung up"
    return data


async def _ask(stream):
    await stream.send_all(ASK)
    return await _hear(stream)


@pytest.mark.anyio
async def test_it_tells_how_the_daemon_is_each_time_anew():
    steps = iter(range(100))
    async with _served(lambda: status(inner_step=next(steps))) as call, await call() as stream:
        assert (await _ask(stream)).inner_step == 0
        assert (await _ask(stream)).inner_step == 1


@pytest.mark.anyio
async def test_stop_is_passed_on_and_answered_with_who_ends():
    asked = []
    async with _served(stop=lambda: asked.append("stop")) as call, await call() as stream:
        await stream.send_all(frame(encode(AskStop()), MAX_CONTROL))
        assert await _hear(stream) == Stopping(pid=STATUS.pid)
    assert asked == ["stop"]


@pytest.mark.anyio
async def test_a_call_may_come_in_pieces_and_several_at_once():
    async with _served() as call, await call() as stream:
        for byte in ASK:
            await stream.send_all(bytes([byte]))
        assert await _hear(stream) == STATUS
        await stream.send_all(ASK * 3)
        decoder, heard = FrameDecoder(MAX_CONTROL), []
        while len(heard) < 3:
            heard += decoder.feed(await _some(stream))
        assert [decode(body, Status, MAX_CONTROL) for body in heard] == [STATUS] * 3


@pytest.mark.anyio
@pytest.mark.parametrize(
    "garbage",
    [
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="another protocol"),
        pytest.param(frame(b"\xff\xff", MAX_CONTROL), id="no message"),
        pytest.param(frame(encode(Stopping(pid=1)), MAX_CONTROL), id="an answer"),
        pytest.param((MAX_CONTROL + 1).to_bytes(4, "big"), id="too large"),
        pytest.param(frame(b"", MAX_CONTROL), id="empty"),
    ],
)
async def test_garbage_costs_its_sender_the_connection_and_nobody_else(garbage):
    async with _served() as call, await call() as other, await call() as stream:
        await stream.send_all(garbage)
        assert await stream.receive_some() == b""
        assert await _ask(other) == STATUS


@pytest.mark.anyio
async def test_a_status_too_large_for_a_frame_is_not_sent():
    async with _served(lambda: status(addresses=("x" * MAX_CONTROL,))) as call, await call() as stream:
        await stream.send_all(ASK)
        assert await stream.receive_some() == b""


@pytest.mark.anyio
async def test_a_caller_that_hangs_up_in_the_middle_is_forgotten():
    async with _served() as call:
        for _ in range(2 * CONNECTIONS):
            async with await call() as stream:
                await stream.send_all(ASK[:3])
        async with await call() as stream:
            assert await _ask(stream) == STATUS
        assert trio.current_time() == 0


@pytest.mark.anyio
@pytest.mark.parametrize("said", [b"", ASK[:3], ASK * 50_000], ids=["nothing", "half a call", "never reads"])
async def test_too_many_callers_that_do_nothing_hold_others_up_for_a_while_at_most(said):
    async with _served() as call, trio.open_nursery() as nursery:
        for _ in range(CONNECTIONS):
            nursery.start_soon(_do_nothing_more, await call(), said)
        await trio.testing.wait_all_tasks_blocked()
        async with await call() as late:
            assert await _ask(late) == STATUS
        assert trio.current_time() == IDLE
        nursery.cancel_scope.cancel()


async def _do_nothing_more(stream, said):
    async with stream:
        try:
            await stream.send_all(said)
        except trio.BrokenResourceError:
            return
        await trio.sleep_forever()


@pytest.mark.anyio
async def test_a_caller_beyond_the_last_place_is_answered_when_one_is_free():
    async with _served() as call:
        callers = [await call() for _ in range(CONNECTIONS)]
        for caller in callers:
            await _ask(caller)
        async with await call() as late:
            await late.send_all(ASK)
            await trio.testing.wait_all_tasks_blocked()
            await callers[0].aclose()
            assert await _hear(late) == STATUS
        assert trio.current_time() == 0
        for caller in callers:
            await caller.aclose()


@pytest.mark.anyio
async def test_a_socket_that_a_killed_daemon_left_is_replaced():
    with socket_folder() as folder:
        path = folder / "control.sock"
        path.write_bytes(b"")
        server = ControlServer(path, commands())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.run)
            await server.serving.wait()
            async with await trio.open_unix_socket(str(path)) as stream:
                assert await _ask(stream) == STATUS
            nursery.cancel_scope.cancel()
