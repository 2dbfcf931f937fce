"""Who may open a lane: hostile callers on real sockets."""

from contextlib import suppress

import pytest
import trio

from peer.swarm.bulk import door
from peer.swarm.bulk.certificate import Certificate
from peer.swarm.bulk.sockets import Traffic, call
from peer.swarm.bulk.tickets import selector
from peer.swarm.bulk.tls import TlsStream
from peer.swarm.transport import TransportError
from protocol.bulk_calls import AskLanes
from tests.peer.swarm.bulk.support import NAMES, two_birds, until

pytestmark = pytest.mark.anyio


async def _tokens(bulk, certificate, count=1):
    return (await bulk.serve(NAMES[0], AskLanes(certificate=certificate.der, count=count))).tokens


async def _call(bulk, ours, token):
    context = ours.calling(bulk._certificate.der)
    return await call(trio.open_tcp_stream, ("127.0.0.1", bulk.port), token, context, NAMES[1], Traffic())


@pytest.fixture
def ours():
    return Certificate.fresh()


async def test_a_token_opens_one_lane_once(tmp_path, ours):
    async with two_birds(tmp_path) as (_, two):
        [token] = await _tokens(two.bulk, ours)
        stream = await _call(two.bulk, ours, token)
        await until(lambda: two.bulk.statistics().lanes == 1)
        with pytest.raises(TransportError):
            await _call(two.bulk, ours, token)
        assert two.bulk.statistics().lanes == two.bulk.statistics().turned_away == 1
        await stream.aclose()
        await until(lambda: two.bulk.statistics().lanes == 0)


async def test_a_token_that_was_overheard_is_of_no_use(tmp_path, ours):
    """Neither with another certificate, nor by who knows no more than what passes in the clear."""
    async with two_birds(tmp_path) as (_, two):
        [token] = await _tokens(two.bulk, ours)
        stream = await _call(two.bulk, Certificate.fresh(), token)
        with pytest.raises(TransportError):
            await stream.receive_some(1)
        await stream.aclose()
        [token] = await _tokens(two.bulk, ours)
        context = ours.calling(two.bulk._certificate.der)
        raw = await trio.open_tcp_stream("127.0.0.1", two.bulk.port)
        await raw.send_all(selector(token))
        tls = TlsStream(raw, context, server_side=False)
        await tls.handshake()
        await tls.send_all(bytes(32))
        assert await tls.receive_into(memoryview(bytearray(1))) == 0
        await raw.aclose()
        await until(lambda: two.bulk.statistics().turned_away == 2)
        assert two.bulk.statistics().answered == 0


async def test_a_caller_finds_out_who_is_not_the_peer(tmp_path, ours):
    async with two_birds(tmp_path) as (_, two):
        [token] = await _tokens(two.bulk, ours)
        where, context = ("127.0.0.1", two.bulk.port), ours.calling(Certificate.fresh().der)
        with pytest.raises(TransportError, match="certificate verify failed"):
            await call(trio.open_tcp_stream, where, token, context, NAMES[1], Traffic())


async def test_old_tokens_are_void(tmp_path, ours, monkeypatch):
    monkeypatch.setattr("peer.swarm.bulk.tickets.LIFETIME", 0.0)
    async with two_birds(tmp_path) as (_, two):
        [token] = await _tokens(two.bulk, ours)
        with pytest.raises(TransportError):
            await _call(two.bulk, ours, token)


@pytest.mark.parametrize("said", [b"", b"short", bytes(16), b"\x16\x03\x01" + bytes(200)])
async def test_strangers_are_turned_away(tmp_path, said, monkeypatch):
    monkeypatch.setattr("peer.swarm.bulk.sockets.HANDSHAKE", 0.2)
    async with two_birds(tmp_path) as (_, two):
        raw = await trio.open_tcp_stream("127.0.0.1", two.bulk.port)
        await raw.send_all(said)
        with suppress(trio.BrokenResourceError):
            assert await raw.receive_some(1) == b""
        await until(lambda: two.bulk.statistics().turned_away == 1)
        await raw.aclose()


async def test_silent_callers_do_not_fill_the_door(tmp_path, ours, monkeypatch):
    monkeypatch.setattr(door, "MOST", 3)
    async with two_birds(tmp_path) as (_, two):
        silent = [await trio.open_tcp_stream("127.0.0.1", two.bulk.port) for _ in range(3)]
        await until(lambda: len(two.bulk._door) == 3)
        [token] = await _tokens(two.bulk, ours)
        await (await _call(two.bulk, ours, token)).aclose()
        await until(lambda: two.bulk.statistics().turned_away == 1)
        assert len(two.bulk._door) == 2
        for raw in silent:
            await raw.aclose()
        await until(lambda: two.bulk.statistics().turned_away == 3)
