"""A state on its way to the trainer: lent to the next one alone, and what becomes of it is told."""

from types import SimpleNamespace

import pytest
import trio

from peer.daemon.returning import Returning
from peer.errors import HomeError
from protocol import trainer as ipc

pytestmark = pytest.mark.anyio

LENT = ipc.State(file="state", inner_step=900, outer_step=45, tokens=1)
READY = ipc.Ready(device="cpu", parameters=1, inner_step=900, outer_step=45, tokens=1, resumed=False)
OURS = ipc.Ready(device="cpu", parameters=1, inner_step=100, outer_step=5, tokens=1, resumed=True)


class Place:
    """Joining, link and pairing, as far as `Returning` knows them."""

    def __init__(self):
        self.found, self.begun = True, True
        self.forgotten = self.done_ = 0
        self.returning = Returning(self, self, SimpleNamespace(pairing=self))

    async def fetch(self, patience):
        assert patience <= 600, "it shares nothing meanwhile"
        if isinstance(self.found, Exception):
            raise self.found
        return self.found

    def lend(self):
        return LENT

    def done(self):
        self.done_ += 1

    async def renew(self, patience):
        return self.begun

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


@pytest.mark.parametrize("message", [ipc.StateRefused(reason="it does worse"), OURS, None])
async def test_what_comes_to_nothing_leaves_all_as_it_was(message):
    place = Place()

    def hear():
        if message is None:
            place.returning.trainer_died()
        else:
            place.returning.heard(message)

    assert await _adopt(place, hear) is None


async def test_without_a_trainer_there_is_nothing_to_renew():
    place = Place()
    place.begun = False
    assert await place.returning.adopt() is None
    place.returning.heard(READY)
    place.returning.trainer_died()


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
