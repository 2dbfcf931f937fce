"""Calls and answers over one stream: the service, the caller, and pulls between them."""

import hashlib

import pytest
import trio

from peer.simulate.network import Link
from peer.swarm.calls import RefusedError, ask, conversation
from peer.swarm.objects import ObjectStore
from peer.swarm.pieces import PieceServer
from peer.swarm.pull import Puller
from peer.swarm.service import IDLE, PieceOf, Service
from peer.swarm.transport import TransportError
from protocol import codec, messages
from protocol.errors import ProtocolError
from protocol.messages import AskState, Busy, Noted, ObjectRef, Piece, Pull, Refused
from tests.peer.swarm.pipes import two_peers

pytestmark = pytest.mark.anyio
RUN = b"r" * 32


def _service():
    service = Service(RUN)

    async def busy(caller, call):
        return Busy(seconds=3.0)

    service.serve(AskState, busy)
    return service


def _two(service):
    return two_peers(messages.STREAM_PROTOCOL, service.handle)


async def test_a_call_is_answered_and_several_share_a_stream():
    service = _service()
    async with _two(service) as (_, caller, callee, contact):
        async with conversation(caller, contact, RUN) as talk:
            for _ in range(3):
                assert await talk.ask(AskState(), Busy) == Busy(seconds=3.0)
        assert callee.statistics().streams_accepted == 1
    assert service.statistics().answered == 3


async def test_another_run_is_refused_and_told_so():
    service = _service()
    async with _two(service) as (_, caller, _, contact):
        with pytest.raises(RefusedError) as refused:
            await ask(caller, contact, b"s" * 32, AskState(), Busy)
        assert refused.value.refusal.other_run
    assert service.statistics().other_run == 1


async def test_what_nobody_serves_yet_is_answered_busy():
    async with _two(Service(RUN)) as (_, caller, _, contact):
        assert isinstance(await ask(caller, contact, RUN, AskState(), Busy), Busy)


async def test_an_answer_of_the_wrong_type_is_an_error():
    async with _two(_service()) as (_, caller, _, contact):
        with pytest.raises(ProtocolError, match="Busy is no answer"):
            await ask(caller, contact, RUN, AskState(), Noted)


@pytest.mark.parametrize("sent", [b"\0\0\0\4junk", b"\xff\xff\xff\xff"])
async def test_malformed_calls_cost_the_stream_and_a_counter(sent):
    service = _service()
    async with _two(service) as (_, caller, callee, contact):
        stream = await caller.open_stream(contact, messages.STREAM_PROTOCOL)
        await stream.send_all(sent)
        await stream.aclose()
        await trio.sleep(1)
        assert callee.statistics().handler_failures == 1
        assert await ask(caller, contact, RUN, AskState(), Busy) == Busy(seconds=3.0)
    assert service.statistics().malformed == 1


async def test_a_caller_that_goes_in_the_middle_of_a_call_is_no_liar():
    service = _service()
    async with _two(service) as (_, caller, callee, contact):
        stream = await caller.open_stream(contact, messages.STREAM_PROTOCOL)
        await stream.send_all(b"\0\0\0\1")
        await stream.aclose()
        await trio.sleep(1)
        assert await ask(caller, contact, RUN, AskState(), Busy) == Busy(seconds=3.0)
    assert service.statistics().malformed == callee.statistics().handler_failures == 0


async def test_a_caller_that_says_nothing_is_hung_up_on():
    async with _two(_service()) as (_, caller, _, contact):
        stream = await caller.open_stream(contact, messages.STREAM_PROTOCOL)
        began = trio.current_time()
        assert await stream.receive_some(1) == b""
        assert trio.current_time() - began == pytest.approx(IDLE, abs=1)


async def test_a_frozen_peer_costs_a_bounded_time():
    async with _two(_service()) as (network, caller, _, contact):
        network.freeze(contact.peer_id)
        began = trio.current_time()
        with pytest.raises(TransportError):
            await ask(caller, contact, RUN, AskState(), Busy)
        assert trio.current_time() - began <= 10.1


# ---- pulls

DATA = bytes(range(256)) * 10_000
REF = ObjectRef(sha256=hashlib.sha256(DATA).digest(), size=len(DATA))


def _pieces(tmp_path, server=None):
    (tmp_path / "theirs").mkdir()
    theirs, ours = ObjectStore(tmp_path / "theirs"), ObjectStore(tmp_path)
    (theirs.folder / "object").write_bytes(DATA)
    theirs.add(REF, "object")
    service = Service(RUN)
    pieces = PieceServer(theirs)
    service.serve(Pull, server or pieces.serve)
    return service, ours, pieces


async def test_an_object_is_pulled_whole(tmp_path):
    service, ours, pieces = _pieces(tmp_path)
    async with _two(service) as (_, caller, _, contact):
        with ours.receive(REF) as incoming:
            await Puller(caller, RUN).pull(contact, REF, incoming)
            incoming.check()
    assert pieces.bytes_out == len(DATA)


async def test_a_pull_goes_on_where_it_was_cut(tmp_path):
    service, ours, pieces = _pieces(tmp_path)
    async with _two(service) as (network, caller, _, contact):
        network.link = Link(delay=0.01, rate=1_000_000)
        with ours.receive(REF) as incoming:
            with trio.move_on_after(2):
                await Puller(caller, RUN).pull(contact, REF, incoming)
            assert 0 < incoming.received < len(DATA)
            await Puller(caller, RUN).pull(contact, REF, incoming)
            incoming.check()
    assert pieces.bytes_out < len(DATA) * 1.9


def _liar(kind):
    async def serve(caller, call):
        data = DATA[call.offset : call.offset + call.length]
        match kind:
            case "altered":
                data = bytes([data[0] ^ 1]) + data[1:]
                return PieceOf(Piece(length=len(data), sha256=codec.digest(data)), data)
            case "wrong hash":
                return PieceOf(Piece(length=len(data), sha256=bytes(32)), bytes(len(data)))
            case "too long":
                data = bytes(call.length + 1)
                return PieceOf(Piece(length=len(data), sha256=codec.digest(data)), data)
            case "cut":
                return PieceOf(Piece(length=len(data), sha256=codec.digest(data)), data[:100])
            case _:
                return Refused(reason="gone")

    return serve


@pytest.mark.parametrize("kind", ["altered", "wrong hash", "too long", "cut", "refused"])
async def test_a_liar_is_found_out(tmp_path, kind):
    service, ours, _ = _pieces(tmp_path, _liar(kind))
    async with _two(service) as (_, caller, _, contact):
        with pytest.raises((ProtocolError, TransportError, RefusedError)), ours.receive(REF) as incoming:  # noqa: PT012
            await Puller(caller, RUN).pull(contact, REF, incoming)
            incoming.check()
    assert [path.name for path in tmp_path.iterdir()] == ["theirs"]
