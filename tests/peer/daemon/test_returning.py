"""A state on its way to the trainer: lent to the next one alone, and what becomes of it is told."""

from types import SimpleNamespace

import pytest
import trio

from peer.daemon.returning import NO_TRAINER, Returning
from peer.errors import HomeError
from peer.swarm.catching_up import PAUSED_MEANWHILE
from peer.swarm.resting import PAUSED
from protocol import trainer as ipc

pytestmark = pytest.mark.anyio

LENT = ipc.State(file="state", inner_step=900, outer_step=45, tokens=1)
READY = ipc.Ready(device="cpu", parameters=1, inner_step=900, outer_step=45, tokens=1, resumed=False)
OURS = ipc.Ready(device="cpu", parameters=1, inner_step=100, outer_step=5, tokens=1, resumed=True)


class Place:
    """Joining, link and pairing, as far as `Returning` knows them."""

    def __init__(self):
        self.found, self.begun = True, True
        self.forgotten = self.done_ = self.renewed = 0
        self.unsaved = self.full = ""
        self.donors, self.shunned, self.asked = ("donor",), [], ["donor"]
        self.reasons = ()
        swarm = SimpleNamespace(pairing=self, resting=self, view=self)
        self.returning = Returning(self, self, swarm, lambda: self.full)

    async def fetch(self, patience):
        assert patience <= 600, "it shares nothing meanwhile"
        if isinstance(self.found, Exception):
            raise self.found
        return self.found

    def lend(self):
        return LENT

    def done(self):
        self.done_ += 1

    async def save(self, patience):
        assert self.returning.lend() is None, "only the next one is lent it"
        self.returning.heard(OURS)
        return self.unsaved

    async def renew(self, patience):
        self.renewed += 1
        return self.begun

    def willing(self):
        return self.asked

    def shun(self, donor):
        self.shunned.append(donor)

    async def wait_idle(self):
        pass

    def forget(self):
        self.forgotten += 1


async def _adopt(place, hear):
    """Adopt, and do `hear` once the trainer is to be begun anew; return the outcome."""
    outcome = []

    async def adopt():
        outcome.append(await place.returning.adopt())

    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(adopt)
            await trio.testing.wait_all_tasks_blocked()
            hear()
    assert place.returning.lend() is None, "whatever came of it, the next begins from its own checkpoint"
    return outcome[0]


async def test_the_next_trainer_is_lent_it_and_says_where_it_stands():
    place = Place()
    assert place.returning.lend() is None

    def hear():
        assert place.returning.lend() is LENT
        place.returning.heard(READY)

    assert await _adopt(place, hear) == 45
    assert place.forgotten == 1, "what the old trainer shared is no more"
    assert place.done_ == 0


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (ipc.StateRefused(reason="it does worse"), "the state that came was of no use: it does worse"),
        (OURS, NO_TRAINER),
        (None, NO_TRAINER),
        ("pause", PAUSED_MEANWHILE),
    ],
)
async def test_what_comes_to_nothing_leaves_all_as_it_was_and_the_state_is_dropped(message, why):
    place = Place()

    def hear():
        if message is None:
            place.returning.trainer_died()
        elif message == "pause":
            place.returning.paused()
        else:
            place.returning.heard(message)

    assert await _adopt(place, hear) == why
    assert place.done_ == 1


@pytest.mark.parametrize(
    ("donors", "ours", "shunned"),
    [(("one",), False, ["one"]), (("one", "two"), False, []), (("one",), True, [])],
)
async def test_whose_state_alone_was_refused_is_shunned_but_not_for_a_disk_of_ours(donors, ours, shunned):
    place = Place()
    place.donors = donors
    refused = ipc.StateRefused(reason="it does worse", ours=ours)
    await _adopt(place, lambda: place.returning.heard(refused))
    assert place.shunned == shunned


async def test_no_trainer_is_ended_that_cannot_write_what_it_has_or_after_a_pause_began():
    place = Place()
    place.unsaved = "the disk is full"
    assert "the disk is full" in await place.returning.adopt()
    place.unsaved, place.reasons = "", (PAUSED,)
    assert await place.returning.adopt() == PAUSED_MEANWHILE
    assert (place.renewed, place.done_) == (0, 2)


async def test_without_a_trainer_there_is_nothing_to_renew():
    place = Place()
    place.begun = False
    assert await place.returning.adopt() == NO_TRAINER
    place.returning.heard(READY)
    place.returning.trainer_died()


async def test_nothing_is_fetched_without_room_for_it_or_anybody_to_ask():
    place = Place()
    place.found = AssertionError()
    place.full = "the disk is full"
    assert await place.returning.fetch() == "the disk is full"
    place.full, place.asked = "", []
    assert "nobody" in await place.returning.fetch()


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (True, ""),
        (False, "nobody gives a state that is further"),
        (HomeError("the disk is full", "Free some"), "the disk is full"),
    ],
)
async def test_why_there_is_no_state_is_told(found, why):
    place = Place()
    place.found = found
    assert await place.returning.fetch() == why
    place.returning.forget()
    assert place.done_ == 1
