"""Donors and newcomers: a crowd, a donor without a trainer, a liar."""

import pytest
import trio

from peer.simulate.flock import Flock
from peer.swarm.calls import ask
from peer.swarm.state_sync import GUESTS, LINGER, Newcomer
from peer.swarm.transport import Contact
from protocol.manifest import Manifest
from protocol.messages import AskState, Busy, StateIs

pytestmark = pytest.mark.anyio


def _manifest(founder):
    return Manifest(founder=founder, codecs=("fp32",))


async def _flying(flock, use):
    async with trio.open_nursery() as nursery:
        for bird in flock.birds:
            nursery.start_soon(bird.fly)
        await trio.sleep(3.5)
        await use()
        nursery.cancel_scope.cancel()


def _newcomer(flock, bird, size=8):
    return Newcomer(bird.transport, flock.run_id, bird.swarm.view, bird.swarm.store, expected_size=size)


async def test_a_crowd_is_served_from_one_capture_and_bounded(tmp_path):
    flock = Flock(tmp_path, _manifest)
    donor, guest = flock.hatch(), flock.hatch()
    contact = Contact(donor.identity.peer_id, ())

    async def use():
        answers = [
            await ask(guest.transport, contact, flock.run_id, AskState(), StateIs, Busy)
            for _ in range(GUESTS + 2)
        ]
        states = [answer for answer in answers if isinstance(answer, StateIs)]
        assert len(states) == GUESTS
        assert len({state.state.sha256 for state in states}) == 1
        assert donor.swarm.statistics().state.turned_away == 2
        await trio.sleep(LINGER + 5)
        assert isinstance(
            await ask(guest.transport, contact, flock.run_id, AskState(), StateIs, Busy), StateIs
        )
        assert len(list(donor.learner.spool.glob("state-*"))) == 1, "captures that served their time are gone"

    await _flying(flock, use)


async def test_a_donor_whose_trainer_is_gone_says_busy_and_another_is_asked(tmp_path):
    flock = Flock(tmp_path, _manifest)
    dead = flock.hatch()
    donor = flock.hatch(through=(dead,))
    guest = flock.hatch(through=(dead,))
    dead.learner.dead = True

    async def use():
        fetched = await _newcomer(flock, guest).fetch()
        assert fetched[0] == donor.identity.peer_id

    await _flying(flock, use)


async def test_a_state_of_the_wrong_size_is_never_pulled(tmp_path):
    flock = Flock(tmp_path, _manifest)
    donor = flock.hatch()
    guest = flock.hatch(through=(donor,))

    async def use():
        assert await _newcomer(flock, guest, size=9).fetch() is None
        assert not list(guest.learner.spool.glob("in-*"))

    await _flying(flock, use)


async def test_a_newcomer_that_finds_nobody_gives_up_and_starts_from_the_seed(tmp_path):
    flock = Flock(tmp_path, _manifest)
    guest = flock.hatch()

    async def use():
        assert await _newcomer(flock, guest).fetch() is None

    await _flying(flock, use)
