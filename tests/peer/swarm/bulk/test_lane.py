"""One lane on the virtual clock: hostile frames, silence, idleness, and who is cancelled."""

import hashlib

import pytest
import trio

from peer.simulate.network import Network
from peer.swarm.bulk.lane import IDLE, MOST_WAITING, Lane
from peer.swarm.calls import NO_PROGRESS, RefusedError
from peer.swarm.service import PieceOf
from peer.swarm.transport import TransportError
from peer.swarm.wire import Wire
from protocol.codec import encode
from protocol.messages import Piece, Pull, Refused
from tests.peer.swarm.pipes import two_peers

pytestmark = pytest.mark.anyio
DATA = bytes(range(200)) * 1000


@pytest.fixture
def anyio_backend():
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


def _pull(offset=0, length=1000):
    return Pull(sha256=bytes(32), offset=offset, length=length)


async def _give(peer_id, call):
    data = DATA[call.offset : call.offset + call.length]
    if not data:
        return Refused(reason="not here")
    return PieceOf(Piece(length=len(data), sha256=hashlib.sha256(data).digest()), data)


class _Into:
    """A memory stream that can read into a buffer, as sockets can."""

    def __init__(self, stream):
        self._stream = stream

    def __getattr__(self, name):
        return getattr(self._stream, name)

    async def receive_into(self, buffer):
        data = await self._stream.receive_some(len(buffer))
        buffer[: len(data)] = data
        return len(data)


async def _ask(lane, call):
    way = lane.way()
    await way.ask(call)
    return await way.hear()


async def _with_lane(use, other_side, *, fails=False):
    """Run `use` with a lane whose other end `other_side` plays; return the seconds until both ended."""
    async with two_peers("/lane", other_side) as (network, caller, _, contact):
        assert isinstance(network, Network)
        lane = Lane(_Into(await caller.open_stream(contact, "/lane")), _give)
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lane.run)
            await use(lane, nursery)
        assert not lane.live
        assert lane.failed is fails
        return trio.current_time() - began


async def _lane(stream):
    await Lane(_Into(stream), _give).run()


async def test_both_sides_pull_at_once_and_answers_keep_their_order():
    async def other(stream):
        lane = Lane(_Into(stream), _give)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lane.run)
            for number in range(20):
                assert (await _ask(lane, _pull(number)))[1] == DATA[number : number + 1000]

    async def use(lane, nursery):
        first, second = lane.way(), lane.way()
        for number in range(8):
            await (first if number % 2 else second).ask(_pull(number * 1000))
        for number in range(8):
            piece, data = await (first if number % 2 else second).hear()
            assert data == DATA[number * 1000 : number * 1000 + 1000]
            assert piece.length == 1000
        with pytest.raises(RefusedError, match="not here"):
            await _ask(lane, _pull(len(DATA)))
        assert lane.live
        await trio.sleep(1)
        nursery.cancel_scope.cancel()

    await _with_lane(use, other)


async def test_several_objects_at_once_ask_for_no_more_than_the_other_side_lets_wait():
    async def pull_all(lane):
        way = lane.way()
        calls = [_pull(offset) for offset in range(0, 8000, 1000)]
        for call in calls:
            await way.ask(call)
        for call in calls:
            _, data = await way.hear()
            assert data == DATA[call.offset : call.offset + 1000]

    async def use(lane, nursery):
        async with trio.open_nursery() as pulls:
            for _ in range(MOST_WAITING):
                pulls.start_soon(pull_all, lane)
        assert lane.live
        nursery.cancel_scope.cancel()

    await _with_lane(use, _lane)


async def test_one_who_is_cancelled_leaves_the_lane_to_the_others():
    async def use(lane, nursery):
        with trio.move_on_after(0.001):
            await _ask(lane, _pull())
        assert (await _ask(lane, _pull(5)))[1] == DATA[5:1005]
        nursery.cancel_scope.cancel()

    await _with_lane(use, _lane)


async def test_an_answer_that_is_due_must_come_soon():
    async def silent(stream):
        await trio.sleep_forever()

    async def use(lane, nursery):
        await trio.sleep(10)
        with pytest.raises(TransportError, match="ended"):
            await _ask(lane, _pull())
        with pytest.raises(TransportError, match="ended"):
            await _ask(lane, _pull())

    assert await _with_lane(use, silent, fails=True) == pytest.approx(10 + NO_PROGRESS)


async def test_an_answer_to_what_is_asked_at_the_end_of_the_idle_minute_has_its_whole_time():
    async def slow(stream):
        wire = Wire(stream, no_progress=NO_PROGRESS)
        await wire.receive_frame(patience=IDLE)
        await trio.sleep(NO_PROGRESS - 1)
        await wire.send_frame(encode(Refused(reason="not here")))
        await trio.sleep_forever()

    async def use(lane, nursery):
        await trio.sleep(IDLE - 0.5)
        with pytest.raises(RefusedError, match="not here"):
            await _ask(lane, _pull())
        nursery.cancel_scope.cancel()

    await _with_lane(use, slow)


async def test_a_lane_that_nobody_uses_is_closed():
    async def use(lane, nursery):
        assert not lane.useful
        await _ask(lane, _pull())
        assert lane.useful

    assert IDLE <= await _with_lane(use, _lane) < IDLE + 1


def _says(*frames):
    async def hostile(stream):
        wire = Wire(stream, no_progress=5)
        for frame in frames:
            await wire.send_raw(frame)
        await trio.sleep_forever()

    return hostile


def _framed(body):
    return len(body).to_bytes(4, "big") + body


@pytest.mark.parametrize(
    "frames",
    [
        [_framed(b"nonsense")],
        [_framed(encode(Refused(reason="answer to nothing")))],
        [_framed(encode(Piece(length=8, sha256=bytes(32)))), bytes(8)],
        [(1 << 30).to_bytes(4, "big")],
        [_framed(encode(_pull(length=1 << 20)))] * (MOST_WAITING + 10),
        [_framed(encode(Refused(reason="x" * 500)) + bytes(2000))],
    ],
    ids=["nonsense", "unasked", "unasked piece", "huge", "many pulls", "long"],
)
async def test_hostile_frames_end_the_lane_and_nothing_else(frames):
    async def use(lane, nursery):
        pass

    assert await _with_lane(use, _says(*frames), fails=True) < 1


async def test_a_bug_of_ours_ends_the_lane_and_not_the_daemon():
    async def breaks(peer_id, call):
        raise RuntimeError("a bug")

    async def other(stream):
        await Lane(_Into(stream), breaks).run()

    async def use(lane, nursery):
        with pytest.raises(TransportError, match="ended"):
            await _ask(lane, _pull())

    assert await _with_lane(use, other) < 1


async def test_a_piece_that_is_longer_than_was_asked_for_ends_the_lane():
    async def hostile(stream):
        wire = Wire(stream, no_progress=5)
        await wire.receive_frame()
        await wire.send_raw(_framed(encode(Piece(length=1001, sha256=bytes(32)))) + bytes(1001))
        await trio.sleep_forever()

    async def use(lane, nursery):
        with pytest.raises(TransportError, match="ended"):
            await _ask(lane, _pull())

    assert await _with_lane(use, hostile, fails=True) < 1
