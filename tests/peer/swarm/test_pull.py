"""Pulls over streams: several chunks ahead, from several peers, after breaks, under caps, from liars."""

import hashlib
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
import trio

from peer.simulate.network import Link, Network
from peer.swarm.calls import NO_PROGRESS, conversation
from peer.swarm.objects import CHUNK, ObjectStore
from peer.swarm.pieces import PieceServer
from peer.swarm.pull import MOST_AHEAD, MOST_BAD, Puller
from peer.swarm.rate import RateLimit
from peer.swarm.service import Service
from peer.swarm.transfers import Transfers
from peer.swarm.transport import Contact
from protocol.errors import ProtocolError
from protocol.identity import Identity
from protocol.messages import STREAM_PROTOCOL, Got, ObjectRef, Pull

pytestmark = pytest.mark.anyio
RUN = bytes(range(32))
DATA = bytes(range(251)) * (12 * CHUNK // 251)
REF = ObjectRef(sha256=hashlib.sha256(DATA).digest(), size=len(DATA))
US, *DONORS = (Identity(bytes([number]) * 32).peer_id for number in range(4))


class Donor:
    """A peer that holds DATA."""

    def __init__(self, network, folder, peer_id, upload=None):
        folder.mkdir()
        store = ObjectStore(folder)
        (folder / "held").write_bytes(DATA)
        store.add(REF, "held")
        self.peer_id = peer_id
        self.store = store
        self.transport = network.add(peer_id)
        self.pieces = PieceServer(store, upload)
        self.asked = []
        self.spoils = set()
        """Offsets of the chunks that it spoils, each once."""
        self.contact = Contact(peer_id, (f"/memory/{peer_id}",))
        service = Service(RUN)
        service.serve(Pull, self._serve)
        service.serve(Got, self._serve_got)
        self.transport.handle(STREAM_PROTOCOL, service.handle)

    async def _serve_got(self, peer_id, call):
        return await self.pieces.serve_got(peer_id, call)

    async def _serve(self, peer_id, call):
        self.asked.append(call.offset)
        reply = await self.pieces.serve(peer_id, call)
        if call.offset in self.spoils:
            self.spoils.discard(call.offset)
            return replace(reply, data=bytes(len(reply.data)))
        return reply


@asynccontextmanager
async def swarm(tmp_path, donors=1, link=None, upload=None, download=None):
    network = Network(link=link or Link())
    transport = network.add(US)
    made = [Donor(network, tmp_path / name[-4:], name, upload) for name in DONORS[:donors]]
    (tmp_path / "ours").mkdir()
    store, puller = ObjectStore(tmp_path / "ours"), Puller(transport, RUN, download=download)
    async with trio.open_nursery() as nursery:
        for each in (transport, *(donor.transport for donor in made)):
            nursery.start_soon(each.serve)
        yield network, store, puller, made
        nursery.cancel_scope.cancel()


async def _whole(store, puller, *donors):
    with store.receive(REF) as incoming:
        async with trio.open_nursery() as nursery:
            for donor in donors:
                nursery.start_soon(puller.pull, donor.contact, REF, incoming)
        incoming.check()
        assert (store.folder / incoming.keep()).read_bytes() == DATA


async def test_chunks_are_asked_for_ahead_so_distance_costs_little(tmp_path):
    async with swarm(tmp_path, link=Link(delay=0.1, rate=20e6)) as (_, store, puller, [donor]):
        began = trio.current_time()
        await _whole(store, puller, donor)
        # One at a time, 12 chunks would take 12 round trips of 0.2 s and the time that the link needs.
        took = trio.current_time() - began
        assert took < 0.2 * 6 + len(DATA) / 20e6
        await trio.sleep(1)
        assert donor.pieces.goodput.to(US) == pytest.approx(len(DATA) / took, rel=0.5)


async def test_a_slow_link_has_little_in_flight_when_the_pull_is_given_up(tmp_path):
    async with swarm(tmp_path, link=Link(delay=0.1, rate=100_000)) as (_, store, puller, [donor]):
        with store.receive(REF) as incoming:
            with trio.move_on_after(30):
                await puller.pull(donor.contact, REF, incoming)
            assert incoming.received > 2_000_000
            assert len(donor.asked) * CHUNK - incoming.received <= 3 * CHUNK
            assert incoming.take().offset == incoming.received, "put back"


async def test_several_peers_fill_one_object(tmp_path):
    async with swarm(tmp_path, 3, Link(delay=0.05, rate=1e6)) as (_, store, puller, donors):
        began = trio.current_time()
        await _whole(store, puller, *donors)
        asked = [offset for donor in donors for offset in donor.asked]
        assert sorted(asked) == list(range(0, len(DATA), CHUNK)), "none twice"
        assert trio.current_time() - began < len(DATA) / 1e6 / 2


async def test_a_transfer_that_breaks_goes_on_from_its_last_good_chunk(tmp_path):
    async with swarm(tmp_path, link=Link(delay=0.05, rate=1e6)) as (_, store, puller, [donor]):

        async def break_now_and_then():
            for _ in range(3):
                await trio.sleep(1.5)
                donor.transport.die()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(break_now_and_then)
            await _whole(store, puller, donor)
        assert puller.statistics().resumed == 3
        assert len(donor.asked) <= len(DATA) // CHUNK + 1 + 3 * MOST_AHEAD


async def test_so_does_one_over_a_stream_that_others_opened(tmp_path):
    async with swarm(tmp_path, link=Link(delay=0.05, rate=1e6)) as (_, store, puller, [donor]):

        async def break_once():
            await trio.sleep(2)
            donor.transport.die()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(break_once)
            async with conversation(puller._transport, donor.contact, RUN) as talk:
                with store.receive(REF) as incoming:
                    await puller.through(talk, REF, incoming)
                    incoming.check()
        assert puller.statistics().resumed == 1
        assert len(donor.asked) <= len(DATA) // CHUNK + 1 + MOST_AHEAD


async def test_a_bad_chunk_costs_one_chunk_and_is_laid_at_its_senders_door(tmp_path):
    async with swarm(tmp_path) as (_, store, puller, [donor]):
        donor.spoils = {0, 3 * CHUNK}
        await _whole(store, puller, donor)
        assert puller.statistics().bad_chunks == 2
        assert len(donor.asked) == -(-len(DATA) // CHUNK) + 2
        donor.spoils = {number * CHUNK for number in range(MOST_BAD + 1)}
        with pytest.raises(ProtocolError, match=f"pieces of {donor.peer_id}"), store.receive(REF) as incoming:
            await puller.pull(donor.contact, REF, incoming)


async def test_a_cap_on_what_we_give_holds_and_nobody_thinks_us_dead(tmp_path):
    upload = RateLimit(200_000)
    async with swarm(tmp_path, upload=upload) as (_, store, puller, [donor]):
        began = trio.current_time()
        await _whole(store, puller, donor)
        assert trio.current_time() - began == pytest.approx(len(DATA) / 200_000, rel=0.1)
        assert len(DATA) / 200_000 > 2 * NO_PROGRESS
        await trio.sleep(1)
        assert donor.pieces.goodput.to(US) == pytest.approx(200_000, rel=0.1)


async def test_a_cap_on_what_we_fetch_holds_over_all_peers_together(tmp_path):
    async with swarm(tmp_path, 3, download=RateLimit(300_000)) as (_, store, puller, donors):
        began = trio.current_time()
        await _whole(store, puller, *donors)
        assert trio.current_time() - began == pytest.approx((len(DATA) - CHUNK) / 300_000, rel=0.1)


class _Shut:
    """Lanes to a peer whose port is not forwarded: packets to it vanish."""

    def to(self, peer_id):
        return ()

    async def agree(self, talk, size):
        return [trio.sleep_forever]


async def test_lanes_that_do_not_open_delay_no_object_that_the_stream_brings(tmp_path):
    async with swarm(tmp_path) as (network, store, _, [donor]):
        puller = Puller(network.peers[US], RUN, lanes=_Shut())
        with trio.fail_after(5):
            await _whole(store, puller, donor)


async def test_both_sides_see_an_object_on_its_way_and_that_it_has_come(tmp_path):
    ours, theirs = Transfers(), Transfers()
    async with swarm(tmp_path, link=Link(rate=1e6)) as (network, store, _, [donor]):
        donor.pieces = PieceServer(donor.store, transfers=theirs)
        puller = Puller(network.peers[US], RUN, transfers=ours)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_whole, store, puller, donor)
            await trio.sleep(len(DATA) / 1e6 / 2)
            ((coming,), (leaving,)) = ours.statistics(), theirs.statistics()
        assert (coming.peer_id, coming.outward, coming.size) == (donor.peer_id, False, len(DATA))
        assert (leaving.peer_id, leaving.outward, leaving.size) == (US, True, len(DATA))
        assert 0 < coming.moved <= leaving.moved < len(DATA)
        assert coming.seconds == pytest.approx(len(DATA) / 1e6 / 2)
        await trio.sleep(1)
        assert ours.statistics() == theirs.statistics() == ()
