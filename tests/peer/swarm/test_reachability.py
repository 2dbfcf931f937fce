"""Peers behind routers in the simulated swarm: they know it, use relays, and train with whom they can."""

from dataclasses import replace
from itertools import pairwise

import pytest
import trio
import trio.testing

from peer.simulate.flock import Flock
from peer.swarm.reachability import ASKED, MOST_DOUBTED, SETTLED, UNSETTLED, Reachability
from peer.swarm.reservations import DECLINED, LOOK, LOST, RELAYS_ASKED
from peer.swarm.swarm import Ladder
from peer.swarm.transport import Contact, DeclinedError, DialBack, TransportError
from tests.peer.swarm.flying import fly
from tests.peer.swarm.newcomers import small

pytestmark = pytest.mark.anyio


def _hidden(flock, **options):
    bird = flock.hatch(**options)
    flock.network.hide(bird.identity.peer_id)
    return bird


def _partners(bird):
    return {outcome.partner for outcome in bird.record.outcomes if outcome.result == "done"}


async def test_who_can_be_dialled_learns_it_and_offers_to_be_a_relay(tmp_path):
    flock = Flock(tmp_path, small)
    one = flock.hatch()
    two = flock.hatch(through=(one,))
    await fly(flock, 60)
    for bird, other in ((one, two), (two, one)):
        reach = bird.swarm.statistics().reach
        assert reach.verdict.reachable
        assert reach.relaying
        assert not reach.circuits
        assert [contact.peer_id for contact in other.swarm.view.relays()] == [bird.identity.peer_id]


async def test_who_spares_its_line_is_no_relay_meanwhile(tmp_path):
    flock = Flock(tmp_path, small)
    one = flock.hatch()
    two = flock.hatch(through=(one,))
    two.swarm.spare(sparing=True)  # before it runs
    told = []

    async def spare():
        await trio.sleep(40)
        for sparing in (True, True, False):
            one.swarm.spare(sparing=sparing)
            told.append((one.transport.willing, one.swarm.statistics().reach.relaying))
        one.swarm.spare(sparing=True)

    await fly(flock, 60, spare)
    assert told == [(False, False), (False, False), (True, True)]
    assert two.swarm.view.relays() == []
    assert two.swarm.statistics().reach.verdict.reachable
    assert not two.transport.willing


async def test_a_peer_may_decline_to_be_a_relay(tmp_path):
    flock = Flock(tmp_path, small)
    one = flock.hatch(ladder=Ladder(volunteers=False))
    two = _hidden(flock, through=(one,))
    await fly(flock, 60)
    assert one.swarm.statistics().reach.verdict.reachable
    assert not one.transport.willing
    assert two.swarm.view.relays() == []
    assert two.transport.addresses == (), "nothing that could not work is announced"


async def test_hidden_peers_train_with_whom_they_dial_and_with_each_other_through_a_relay(tmp_path):
    flock = Flock(tmp_path, small)
    public = flock.hatch(outer_steps=40)
    hidden = [_hidden(flock, through=(public,), outer_steps=40) for _ in range(2)]

    async def keep_the_public_one_out_for_a_while():
        await trio.sleep(15)
        for bird in hidden:
            bird.swarm.view.busy(public.identity.peer_id, 15.0)

    await fly(flock, 60, keep_the_public_one_out_for_a_while)
    for bird in hidden:
        reach = bird.swarm.statistics().reach
        assert reach.verdict.reachable is False
        relay = public.identity.peer_id
        assert reach.circuits == (f"/memory/{relay}/p2p/{relay}/p2p-circuit",)
        assert bird.transport.addresses == (f"{reach.circuits[0]}/p2p/{bird.identity.peer_id}",)
        assert len(bird.swarm.view.live()) == 2
        assert public.identity.peer_id in _partners(bird)
        assert len(_partners(bird)) == 2


async def test_hidden_peers_without_a_relay_train_with_the_one_that_they_dial(tmp_path):
    flock = Flock(tmp_path, small)
    public = flock.hatch(ladder=Ladder(volunteers=False))
    hidden = [_hidden(flock, through=(public,)) for _ in range(2)]
    await fly(flock, 120)
    for bird in hidden:
        assert _partners(bird) == {public.identity.peer_id}
        assert [contact.peer_id for contact in bird.swarm.view.live()] == [public.identity.peer_id]


async def test_another_relay_is_found_when_one_goes(tmp_path):
    flock = Flock(tmp_path, small)
    relays = [flock.hatch()]
    relays += [flock.hatch(through=(relays[0],)) for _ in range(3)]
    hidden = _hidden(flock, through=(relays[0],))

    async def lose_one():
        await trio.sleep(60)
        held = hidden.swarm.statistics().reach.circuits
        assert len(held) == 2
        lost = next(bird for bird in relays if bird.identity.peer_id in held[0])
        flock.kill(lost)
        await trio.sleep(60)
        now = hidden.swarm.statistics().reach.circuits
        assert len(now) == 2
        assert not any(lost.identity.peer_id in circuit for circuit in now)

    await fly(flock, 130, lose_one)


async def test_a_router_that_begins_to_lead_to_us_is_noticed_and_the_relay_let_go(tmp_path):
    flock = Flock(tmp_path, small)
    public = flock.hatch()
    bird = _hidden(flock, through=(public,))

    async def open_the_router():
        await trio.sleep(60)
        assert bird.swarm.statistics().reach.circuits
        flock.network.hidden.clear()

    await fly(flock, 60 + 2 * SETTLED, open_the_router)
    reach = bird.swarm.statistics().reach
    assert reach.verdict.reachable
    assert not reach.circuits
    assert [told.verdict.reachable for told in bird.record.reaches][-1] is True


async def test_asking_is_rare_however_many_peers_there_are(tmp_path):
    flock = Flock(tmp_path, small)
    first = flock.hatch()
    for _ in range(4):
        flock.hatch(through=(first,))
    await fly(flock, 60)
    for bird in flock.birds:
        assert ASKED <= bird.swarm.statistics().reach.asked <= 3 * ASKED


async def test_a_relay_that_declines_is_left_alone_for_a_while_and_few_are_asked_at_once(tmp_path):
    flock = Flock(tmp_path, small)
    first = flock.hatch()
    for _ in range(5):
        flock.hatch(through=(first,))
    hidden = _hidden(flock, through=(first,))
    asked = []

    async def decline(relay):
        asked.append((relay.peer_id, trio.current_time()))
        raise DeclinedError("full")

    hidden.transport.reserve = decline
    await fly(flock, 0.9 * DECLINED)
    assert len({relay for relay, _ in asked}) == 6, "in the end all are asked"
    assert len(asked) == 6, "each of them once"
    for _, at in asked:
        assert sum(at <= other < at + LOOK for _, other in asked) <= RELAYS_ASKED


async def test_an_attempt_that_is_lost_is_made_again_soon_and_ever_more_seldom(tmp_path):
    """With one relay alone, nobody reaches us before."""
    flock = Flock(tmp_path, small)
    public = flock.hatch()
    hidden = _hidden(flock, through=(public,))
    reserve, asked = hidden.transport.reserve, []

    async def lose(relay):
        asked.append(trio.current_time())
        if len(asked) <= 8:
            raise TransportError("the line was gone for a moment")
        return await reserve(relay)

    hidden.transport.reserve = lose
    await fly(flock, 12 * DECLINED)
    pauses = [late - early for early, late in pairwise(asked)][:8]
    assert pauses[0] <= LOST + LOOK
    assert all(early <= late <= 2 * early + LOOK for early, late in pairwise(pauses))
    assert DECLINED <= pauses[-1] <= DECLINED + LOOK
    assert hidden.swarm.statistics().reach.circuits


async def test_a_reservation_stands_until_it_ends_though_it_is_not_renewed(tmp_path):
    flock = Flock(tmp_path, small)
    public = flock.hatch()
    hidden = _hidden(flock, through=(public,))
    reserve, granted, counts = hidden.transport.reserve, trio.Event(), []

    async def grant_one(relay):
        if granted.is_set():
            raise TransportError("full")
        granted.set()
        return replace(await reserve(relay), seconds=60.0)

    async def look():
        await granted.wait()
        for seconds in (50.0, 20.0):
            await trio.sleep(seconds)
            counts.append(len(hidden.swarm.statistics().reach.circuits))

    hidden.transport.reserve = grant_one
    await fly(flock, 120, look)
    assert counts == [1, 0]


async def test_a_new_address_is_noticed_and_asked_about_at_once(tmp_path):
    bird = Flock(tmp_path, small).hatch()
    transport, view = bird.transport, bird.swarm.view
    names = [f"peer {index}" for index in range(3 * ASKED)]
    transport.connected, transport.relayed = lambda: names, lambda _: False
    view.live = lambda: [Contact(name, ()) for name in names]
    asked, moved_at = [], SETTLED + 30.0

    async def dial_back(peer_id, port):
        asked.append(trio.current_time())
        host = "11.0.0.7" if trio.current_time() < moved_at else "11.0.0.8"
        return DialBack(peer_id, f"/ip4/{host}/tcp/{port}", "silent", port, port)

    transport.ask_dial_back = dial_back
    reach = Reachability(transport, view, volunteers=True, mapper=None, on_change=lambda _: None)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(reach.run)
        await trio.sleep(moved_at)
        assert reach.statistics().verdict.outside == ("11.0.0.7",)
        assert len(asked) == 2 * ASKED
        await trio.sleep_until(2 * SETTLED + 2 * UNSETTLED)
        assert reach.statistics().verdict.outside == ("11.0.0.8",), "though most have not been asked again"
        assert len(asked) == 4 * ASKED, "another round did not wait"
        nursery.cancel_scope.cancel()


async def test_a_router_that_shows_each_peer_another_address_is_asked_about_ever_more_seldom(tmp_path):
    bird = Flock(tmp_path, small).hatch()
    transport, view = bird.transport, bird.swarm.view
    names = [f"peer {index}" for index in range(200)]
    transport.connected, transport.relayed = lambda: names, lambda _: False
    view.live = lambda: [Contact(name, ()) for name in names]
    asked = []

    async def dial_back(peer_id, port):
        asked.append(trio.current_time())
        return DialBack(peer_id, f"/ip4/11.0.0.{peer_id.split()[1]}/tcp/{port}", "silent", port, port)

    transport.ask_dial_back = dial_back
    reach = Reachability(transport, view, volunteers=True, mapper=None, on_change=lambda _: None)
    hour, settled = 3600.0, ASKED / SETTLED
    with trio.move_on_after(2 * hour):
        await reach.run()
    first = sum(at < hour for at in asked)
    assert first <= settled * hour + 7 * ASKED, "60, 120, 240 ... seconds apart, beside the usual rounds"
    assert len(asked) - first <= settled * hour + ASKED * (hour / MOST_DOUBTED + 1)
    assert reach.statistics().verdict.reachable is False


class _Router:
    """Leads a port to us, or does not."""

    def __init__(self, outside):
        self.outside = outside
        self.opened = []
        self.closed = False

    async def open(self, port):
        self.opened.append(port)
        return self.outside

    async def close(self):
        self.closed = True


async def test_what_the_router_maps_is_announced_renewed_and_taken_back(tmp_path, monkeypatch):
    flock = Flock(tmp_path, small)
    bird = flock.hatch()
    monkeypatch.setattr(type(bird.transport), "candidates", ("/ip4/192.168.1.5/tcp/4001",))
    router = _Router("/ip4/11.0.0.7/tcp/4001")
    reach = Reachability(
        bird.transport, bird.swarm.view, volunteers=True, mapper=router, on_change=lambda _: None
    )
    with trio.move_on_after(3000):
        await reach.run()
    assert router.opened == [4001] * 3
    assert router.closed
    assert bird.transport.addresses[0] == f"/ip4/11.0.0.7/tcp/4001/p2p/{bird.identity.peer_id}"
    assert reach.statistics().mapped == router.outside
