"""Objects over lanes: both ways, after a failure, and where a lane cannot be."""

from contextlib import asynccontextmanager

import pytest
import trio

from peer.errors import ListenError
from peer.swarm.backoff import Backoff
from peer.swarm.bulk import bulk as bulk_module
from peer.swarm.bulk import open_bulk
from peer.swarm.bulk.distance import lanes_for
from peer.swarm.bulk.lane import Lane
from peer.swarm.bulk.tls import TlsStream
from peer.swarm.calls import RefusedError, conversation
from peer.swarm.objects import CHUNK
from peer.swarm.pull import MOST_AHEAD
from protocol.bulk_calls import MOST_LANES, AskLanes, LanesAre
from protocol.messages import Busy, Refused
from tests.peer.swarm.bulk.support import DATA, REF, RUN, two_birds, until

pytestmark = pytest.mark.anyio


async def test_an_object_comes_over_lanes_and_they_serve_the_other_side_too(tmp_path):
    async with two_birds(tmp_path) as (one, two):
        two.hold()
        assert await one.fetch(two) == DATA
        assert one.bulk.statistics().opened == two.bulk.statistics().answered >= 2
        other = DATA[::-1]
        ref = one.hold(other)
        before = one.bulk.statistics().bytes_out
        assert await two.fetch(one, ref) == other
        assert one.bulk.statistics().bytes_out - before > len(other), "all of it: lanes were there"
        assert two.bulk.statistics().opened == 0


async def test_both_fetch_at_once_and_only_one_side_opens_lanes(tmp_path):
    async with two_birds(tmp_path) as (one, two):
        two.hold()
        ref = one.hold(DATA[::-1])
        found = {}

        async def fetch(name, bird, other, what):
            found[name] = await bird.fetch(other, what)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(fetch, "one", one, two, REF)
            nursery.start_soon(fetch, "two", two, one, ref)
        assert found == {"one": DATA, "two": DATA[::-1]}
        assert sorted((one.bulk.statistics().opened > 0, two.bulk.statistics().opened > 0)) == [False, True]


@pytest.mark.parametrize("first", [0, 1], ids=["the smaller opens", "the larger opens"])
async def test_who_has_begun_to_open_lanes_is_not_crossed_by_the_other_side(tmp_path, monkeypatch, first):
    """The other's ask may come at any time until the last lane is there: first while its tokens are out, then
    while they are redeemed and nobody has proved itself yet."""
    for limit in ("sockets.DIAL", "sockets.HANDSHAKE", "tickets.LIFETIME"):
        monkeypatch.setattr(f"peer.swarm.bulk.{limit}", 60.0)  # both fetches are in between
    async with two_birds(tmp_path) as birds:
        opens, other = birds[first], birds[1 - first]
        ref, _ = opens.hold(DATA[::-1]), other.hold()
        dialled, shown, may_go = trio.Event(), trio.Event(), trio.Event()
        real, handshake = bulk_module.call, TlsStream.handshake

        async def call(*where):
            dialled.set()
            return await real(*where)

        async def slowly(tls):
            if tls._tls.server_side:
                shown.set()
                await may_go.wait()
            await handshake(tls)

        monkeypatch.setattr(bulk_module, "call", call)
        monkeypatch.setattr(TlsStream, "handshake", slowly)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(opens.fetch, other)
            for stage in (dialled, shown):
                await stage.wait()
                crossing = AskLanes(certificate=other.bulk._certificate.der, count=1)
                answer = await opens.bulk.serve(other.peer_id, crossing)
                assert isinstance(answer, Busy)
                assert answer.crossed
                assert await other.fetch(opens, ref) == DATA[::-1], "over the stream"
            may_go.set()
        await until(lambda: not opens.bulk._dialling and not other.bulk._tickets._shown)
        assert other.bulk.statistics().opened == other.bulk.statistics().failed == 0
        assert opens.bulk.statistics().opened == lanes_for(0.0, len(DATA))


async def test_a_port_that_nobody_answers_costs_one_attempt_and_no_byte(tmp_path):
    async with two_birds(tmp_path) as (one, two):
        two.hold()
        async with _closed_port() as port:
            two.bulk.port = port
            for _ in range(2):
                assert await one.fetch(two) == DATA
        told = one.bulk.statistics()
        assert (told.lanes, told.opened) == (0, 0)
        assert 1 <= told.failed <= MOST_LANES, "remembered: not tried again"
        assert len(one.failures) == 1
        assert two.pieces.bytes_out == 2 * len(DATA)


async def test_lanes_that_break_midway_cost_what_was_in_flight(tmp_path, monkeypatch):
    async with two_birds(tmp_path) as (one, two):
        two.hold()
        assert await one.fetch(two) == DATA
        served = two.pieces.bytes_out
        take, came = Lane._take, []

        async def break_at_the_third(lane, answer):
            await take(lane, answer)
            came.append(answer)
            if len(came) == 3:
                for each in list(one.bulk._lanes[two.peer_id]):
                    await each._stream.reset()

        monkeypatch.setattr(Lane, "_take", break_at_the_third)
        assert await one.fetch(two) == DATA
        lost = 2 * MOST_LANES * MOST_AHEAD * CHUNK
        assert len(DATA) <= two.pieces.bytes_out - served <= len(DATA) + lost
        assert len(came) < 20, "the rest came over the stream"


async def test_who_spoke_nonsense_over_a_lane_has_the_stream_alone_for_a_while(tmp_path, monkeypatch):
    async with two_birds(tmp_path) as (one, two):
        two.hold()
        assert await one.fetch(two) == DATA
        opened = one.bulk.statistics().opened
        for lane in list(one.bulk._lanes[two.peer_id]):
            await lane._wire.send_raw(bytes(64))
        await until(lambda: not one.bulk.statistics().lanes and not two.bulk.statistics().lanes)
        assert await one.fetch(two) == DATA, "it agrees to none"
        assert one.bulk.statistics().opened == opened
        assert await two.fetch(one, one.hold(DATA[::-1])) == DATA[::-1], "and asks for none"
        assert two.bulk.statistics().opened == 0
        monkeypatch.setattr(two.bulk, "_broken", Backoff(0.0, 0.0))
        assert await one.fetch(two) == DATA
        assert one.bulk.statistics().opened > opened


async def test_an_object_that_is_gone_is_refused_over_lanes_too(tmp_path):
    async with two_birds(tmp_path) as (one, two):
        two.hold()
        await one.fetch(two)
        two.store.retire(REF.sha256)
        with pytest.raises(RefusedError, match="not here"):
            await one.fetch(two)
        assert one.bulk.statistics().lanes, "a refusal is no fault of the lane"


async def test_small_objects_and_peers_without_lanes_stay_on_the_stream(tmp_path):
    async with two_birds(tmp_path) as (one, two):
        ref = two.hold(b"small")
        assert await one.fetch(two, ref) == b"small"
        assert one.bulk.statistics().opened == 0
        two.service.serve(AskLanes, _refuse)
        two.hold()
        for _ in range(2):
            assert await one.fetch(two) == DATA
        assert one.bulk.statistics().failed == 1


async def test_a_peer_that_is_nearer_than_was_thought_gets_no_lane_more(tmp_path, monkeypatch):
    """Its other lanes were opened while it was not known how near it is."""
    async with two_birds(tmp_path) as (one, two):
        two.hold()
        assert await one.fetch(two) == DATA
        opened = one.bulk.statistics().lanes
        monkeypatch.setattr(bulk_module, "lanes_for", lambda round_trip, size: opened + 3)
        ask = one.bulk._ask

        async def nearer(talk, count):
            agreed = await ask(talk, count)
            monkeypatch.setattr(bulk_module, "lanes_for", lambda round_trip, size: opened - 1)
            return agreed

        monkeypatch.setattr(one.bulk, "_ask", nearer)
        async with conversation(one.transport, two.contact, RUN) as talk:
            assert not await one.bulk.agree(talk, len(DATA))


async def _refuse(peer_id, call):
    return Refused(reason="never")


async def test_what_is_no_certificate_is_refused_and_too_many_tokens_are_not_out(tmp_path, monkeypatch):
    monkeypatch.setattr("peer.swarm.bulk.tickets.MOST", 3)
    async with two_birds(tmp_path) as (one, two):
        served = two.bulk.serve
        assert isinstance(await served("x", AskLanes(certificate=b"nonsense", count=1)), Refused)
        good = one.bulk._certificate.der
        assert isinstance(await served("x", AskLanes(certificate=good, count=2)), LanesAre)
        assert isinstance(await served("y", AskLanes(certificate=good, count=2)), Busy)
        assert isinstance(await served("x", AskLanes(certificate=good, count=3)), LanesAre), "in their place"
        monkeypatch.setattr(bulk_module, "MOST_OF_ONE", 0)
        assert isinstance(await served("x", AskLanes(certificate=good, count=1)), Busy)
        monkeypatch.setattr(bulk_module, "MOST_OF_ONE", 8)
        monkeypatch.setattr(bulk_module, "MOST", 0)
        assert isinstance(await served("x", AskLanes(certificate=good, count=1)), Busy)


async def test_a_stranger_to_the_run_gets_no_lanes(tmp_path):
    async with two_birds(tmp_path) as (one, two):
        async with conversation(one.transport, two.contact, bytes(32)) as talk:
            with pytest.raises(RefusedError, match="your run is not ours"):
                await talk.ask(AskLanes(certificate=one.bulk._certificate.der, count=1), LanesAre)
        assert bytes(32) != RUN


@asynccontextmanager
async def _closed_port():
    """A port that is taken, and on which nobody listens."""
    with trio.socket.socket() as bound:
        await bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


async def test_a_port_that_is_taken_is_one_clear_line():
    async with _closed_port() as port:
        with pytest.raises(ListenError, match=rf"cannot listen for bulk on port {port}.*--bulk-port"):
            async with open_bulk("us", ["127.0.0.1"], port, lambda _: None):
                pass


async def test_all_hosts_are_answered_on_one_port():
    async with open_bulk("us", ["127.0.0.1", "127.0.0.3"], 0, lambda _: None) as bulk:
        for host in ("127.0.0.1", "127.0.0.3"):
            await (await trio.open_tcp_stream(host, bulk.port)).aclose()
