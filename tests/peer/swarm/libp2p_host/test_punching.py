"""Hole punching on loopback, where nothing is in the way: the roles, the dials, and who is left alone.

What routers make of it is measured by `benchmarks/nat.py` and `tests/processes/test_nat.py`.
"""

from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from peer.swarm.libp2p_host.keys import libp2p_id
from peer.swarm.transport import Contact
from tests.peer.swarm.libp2p_host.support import ask, contact_of, ours, until

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def _through_a_relay():
    """Yield two hosts that a relay is about to connect, and how the second reaches the first."""
    async with ours(1) as relay, ours(2) as hidden, ours(3) as seeker:
        relay.offer_relay(willing=True)
        await hidden.dial(relay.addresses[0])
        promised = await hidden.reserve(contact_of(relay))
        yield hidden, seeker, Contact(hidden.peer_id, promised.circuits)


def _expect(*transports):
    for transport in transports:
        transport.present((), transport.candidates)


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr("peer.swarm.libp2p_host.punching.GRACE", 0.05)


async def test_a_relayed_connection_becomes_a_direct_one():
    async with _through_a_relay() as (hidden, seeker, contact):
        _expect(hidden, seeker)
        assert await ask(seeker, contact) == b"are you there?"
        await until(lambda: not seeker.relayed(hidden.peer_id) and not hidden.relayed(seeker.peer_id))
        assert await ask(hidden, Contact(seeker.peer_id, ())) == b"are you there?"
        # Nothing runs over the relay any more: it is let go.
        await until(lambda: not seeker.statistics().relayed_connections)
        assert hidden.statistics().punching.succeeded == 1
        assert await ask(seeker, contact) == b"are you there?"


@pytest.mark.parametrize("expected", [(), (0,), (1,)], ids=["neither", "one", "the other"])
async def test_who_knows_no_place_to_be_met_stays_behind_the_relay(expected):
    async with _through_a_relay() as (hidden, seeker, contact):
        _expect(*[(hidden, seeker)[index] for index in expected])
        await ask(seeker, contact)
        await until(lambda: hidden.relayed(seeker.peer_id))
        await trio.sleep(0.3)
        assert seeker.relayed(hidden.peer_id)
        assert hidden.statistics().punching.succeeded == 0


@pytest.mark.parametrize("first", [0, 1], ids=["the leader", "the follower"])
async def test_who_learns_its_place_once_the_relay_connects_them_is_met_all_the_same(first, monkeypatch):
    monkeypatch.setattr("peer.swarm.libp2p_host.punching.UNREADY", 0.05)
    monkeypatch.setattr("peer.swarm.libp2p_host.punching.LOOK", 0.05)
    async with _through_a_relay() as (hidden, seeker, contact):
        await ask(seeker, contact)
        await until(lambda: hidden.relayed(seeker.peer_id))
        sides = sorted((hidden, seeker), key=lambda side: side.peer_id)
        for side in (sides[first], sides[1 - first]):
            _expect(side)
            await trio.testing.wait_all_tasks_blocked()
        await until(lambda: not seeker.relayed(hidden.peer_id) and not hidden.relayed(seeker.peer_id))
        assert all(side.statistics().punching.succeeded for side in sides)


async def test_who_falls_back_on_the_relay_is_tried_again_at_once():
    async with _through_a_relay() as (hidden, seeker, contact):
        _expect(hidden, seeker)
        for times in (1, 2):
            await ask(seeker, contact)
            await until(lambda times=times: seeker.statistics().punching.succeeded == times)
            await until(lambda: not seeker.statistics().relayed_connections)
            await seeker.hang_up(hidden.peer_id)
            await until(lambda: not hidden.direct_host(seeker.peer_id))


async def test_after_a_rest_a_peer_that_is_still_behind_a_relay_is_tried_again(monkeypatch):
    for name, value in {"ROUND": 0.2, "PAUSE": 0.01, "REST": 0.05, "LOOK": 0.05}.items():
        monkeypatch.setattr(f"peer.swarm.libp2p_host.punching.{name}", value)
    async with _through_a_relay() as (hidden, seeker, contact):
        for transport in (hidden, seeker):
            transport.present((), ("/ip4/127.0.0.1/udp/1",))
        await ask(seeker, contact)
        await until(lambda: min(side.statistics().punching.failed for side in (hidden, seeker)) > 3)


async def test_a_place_where_nobody_is_costs_some_attempts_and_no_more(monkeypatch):
    monkeypatch.setattr("peer.swarm.libp2p_host.punching.ROUND", 0.2)
    monkeypatch.setattr("peer.swarm.libp2p_host.punching.PAUSE", 0.01)
    async with _through_a_relay() as (hidden, seeker, contact):
        with trio.socket.socket() as closed:
            await closed.bind(("127.0.0.1", 0))
            nowhere = f"/ip4/127.0.0.1/tcp/{closed.getsockname()[1]}"
            for transport in (hidden, seeker):
                transport.present((), (nowhere, "nonsense", "/ip4/127.0.0.1/udp/1"))
            await ask(seeker, contact)
            await until(lambda: hidden.statistics().punching.failed == 3)
        assert seeker.relayed(hidden.peer_id)
        assert await ask(seeker, contact) == b"are you there?"
        # It is left alone for a while, whoever connects again.
        await seeker.hang_up(hidden.peer_id)
        await ask(seeker, contact)
        assert hidden.statistics().punching.failed == 3


@pytest.mark.parametrize(
    ("told", "dialled"),
    [
        (["/ip4/11.0.0.7/tcp/1", "/ip4/192.168.1.2/tcp/1"], ["/ip4/11.0.0.7/tcp/1"]),
        (
            ["/ip4/11.0.0.7/tcp/1", "/ip4/12.0.0.7/tcp/1", "/ip6/2a00::1/tcp/1"],
            ["/ip4/11.0.0.7/tcp/1", "/ip6/2a00::1/tcp/1"],
        ),
        (
            ["/ip4/11.0.0.9/tcp/1", "/ip4/192.168.1.5/tcp/1"],
            ["/ip4/11.0.0.9/tcp/1", "/ip4/192.168.1.5/tcp/1"],
        ),
        (["/ip4/10.0.0.1/tcp/22", "/ip4/127.0.0.1/tcp/22"], []),
        (["nonsense", "/dns4/example.org/tcp/1"], []),
    ],
    ids=["another home", "strangers", "the same home", "inside our own network", "nonsense"],
)
async def test_only_where_the_other_may_be_is_dialled(told, dialled):
    async with ours(1) as one:
        one.present((), ("/ip4/11.0.0.9/tcp/4001", "/ip4/192.168.1.2/tcp/4001"))
        assert sorted(map(str, one._reach.puncher._plausible(told))) == dialled


async def test_a_peer_leads_us_a_few_times_only():
    async with ours(1) as one, ours(2) as two:
        peer = libp2p_id(two.peer_id)
        assert [one._reach.puncher._may_follow(peer) for _ in range(5)] == [True] * 3 + [False] * 2
