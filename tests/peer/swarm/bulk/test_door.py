"""The door on the virtual clock: silent crowds of one origin and of many."""

import pytest
import trio

from peer.swarm.bulk.door import MOST, Door
from peer.swarm.transport import TransportError

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


class _Street:
    """Callers that are silent until they are pushed out."""

    def __init__(self, nursery):
        self.door = Door()
        self.gone = []
        self._nursery = nursery

    async def _wait(self, origin, *, task_status):
        try:
            with self.door.one(origin):
                task_status.started()
                await trio.sleep_forever()
        except TransportError:
            self.gone.append(origin)

    async def call(self, *origins):
        for origin in origins:
            await self._nursery.start(self._wait, origin)
            assert len(self.door) <= MOST


async def test_a_crowd_of_one_origin_pushes_out_its_own():
    async with trio.open_nursery() as nursery:
        street = _Street(nursery)
        await street.call("honest", *["crowd"] * (2 * MOST))
        await street.call("late")
        await trio.sleep(1)
        assert street.gone == ["crowd"] * (MOST + 2)
        nursery.cancel_scope.cancel()


async def test_of_a_crowd_of_many_origins_those_go_that_came_first():
    async with trio.open_nursery() as nursery:
        street = _Street(nursery)
        await street.call(*(f"crowd {number}" for number in range(MOST)), "late", "later")
        await trio.sleep(1)
        assert sorted(street.gone) == ["crowd 0", "crowd 1"]
        nursery.cancel_scope.cancel()


async def test_who_has_spoken_in_time_waits_no_more():
    door = Door()
    for _ in range(2 * MOST):
        with door.one("here"):
            await trio.sleep(0.1)
    assert not len(door)
