import pytest
import trio

from peer.simulate.network import Link
from peer.swarm.transport import TransportError
from peer.swarm.wire import Wire
from protocol.errors import ProtocolError
from protocol.limits import MAX_MESSAGE
from tests.peer.swarm.pipes import two_peers

pytestmark = pytest.mark.anyio


async def _echo(stream):
    wire = Wire(stream, no_progress=5)
    while (frame := await wire.receive_frame()) is not None:
        await wire.send_frame(frame)


async def test_frames_and_raw_bytes_pass_in_both_directions():
    async def serve(stream):
        wire = Wire(stream, no_progress=5)
        assert await wire.receive_frame() == b"first"
        await wire.send_frame(b"answer")
        await wire.send_raw(bytes(3_000_000))

    async with two_peers("/echo", serve) as (_, caller, _, contact):
        wire = Wire(await caller.open_stream(contact, "/echo"), no_progress=5)
        await wire.send_frame(b"first")
        assert await wire.receive_frame() == b"answer"
        assert await wire.receive_raw(3_000_000) == bytes(3_000_000)
        assert await wire.receive_frame() is None


async def test_silence_ends_in_an_error_after_its_limit_and_not_before():
    async def silent(stream):
        await trio.sleep_forever()

    async with two_peers("/echo", silent) as (_, caller, _, contact):
        wire = Wire(await caller.open_stream(contact, "/echo"), no_progress=5)
        began = trio.current_time()
        with pytest.raises(TransportError, match="no byte in 5 s"):
            await wire.receive_frame()
        assert trio.current_time() - began == pytest.approx(5)
        began = trio.current_time()
        with pytest.raises(TransportError, match="no byte in 30 s"):
            await wire.receive_frame(patience=30)
        assert trio.current_time() - began == pytest.approx(30)


async def test_a_slow_stream_that_keeps_moving_is_not_cut():
    async def serve(stream):
        await Wire(stream, no_progress=5).send_raw(bytes(20_000_000))

    async with two_peers("/echo", serve) as (network, caller, _, contact):
        network.link = Link(delay=0.1, rate=500_000)
        wire = Wire(await caller.open_stream(contact, "/echo"), no_progress=5)
        assert len(await wire.receive_raw(20_000_000)) == 20_000_000
        assert trio.current_time() > 40


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        (b"\0\0", TransportError),
        (b"\0\0\0\5ab", TransportError),
        ((MAX_MESSAGE + 1).to_bytes(4, "big"), ProtocolError),
    ],
)
async def test_a_cut_or_oversized_frame_is_refused(sent, error):
    async def serve(stream):
        await stream.send_all(sent)

    async with two_peers("/echo", serve) as (_, caller, _, contact):
        wire = Wire(await caller.open_stream(contact, "/echo"), no_progress=5)
        with pytest.raises(error):
            await wire.receive_frame()


async def test_a_callers_cancellation_is_not_mistaken_for_silence():
    async with two_peers("/echo", _echo) as (_, caller, _, contact):
        wire = Wire(await caller.open_stream(contact, "/echo"), no_progress=5)
        with trio.move_on_after(1) as scope:
            await wire.receive_frame()
        assert scope.cancelled_caught
