"""A swarm that is cut in two goes on in both halves, and is one again once the cut is mended."""

import statistics

import pytest
import trio

from peer.simulate.flock import Flock
from tests.peer.swarm.flying import fly
from tests.peer.swarm.newcomers import small

pytestmark = pytest.mark.anyio

BEFORE, CUT, AFTER = 60.0, 120.0, 180.0
"""Seconds. Bootstraps out of view are tried about once a minute."""

PACE = 3.0
"""Seconds of an outer step."""


def _spread(birds):
    return statistics.pstdev(bird.learner.value for bird in birds)


async def test_two_halves_part_for_two_minutes_go_on_and_come_together(tmp_path):
    flock = Flock(tmp_path, small)
    steps = int((BEFORE + CUT + AFTER) / PACE)
    first = flock.hatch(outer_steps=steps, seconds=PACE, drift=0.1)
    for _ in range(5):
        flock.hatch(through=(first,), outer_steps=steps, seconds=PACE, drift=0.1)
    near, far = flock.birds[:3], flock.birds[3:]
    spread, mixes, crossed = {}, {}, {}
    names = {bird.identity.peer_id for bird in far}

    def across():
        done = [outcome for bird in near for outcome in bird.record.outcomes if outcome.result == "done"]
        return sum(outcome.partner in names for outcome in done)

    async def cut() -> None:
        await trio.sleep(BEFORE)
        spread["before"], mixes["before"] = _spread(flock.birds), [bird.learner.mixes for bird in flock.birds]
        flock.network.part(names)
        crossed["before"] = across()
        for bird in far:  # what one half learns and the other does not
            bird.learner.values[0] += 3.0
        await trio.sleep(CUT)
        spread["cut"], mixes["cut"] = _spread(flock.birds), [bird.learner.mixes for bird in flock.birds]
        spread["halves"] = max(_spread(near), _spread(far))
        crossed["cut"] = across()
        flock.network.part()

    await fly(flock, BEFORE + CUT + AFTER + PACE, cut)
    assert crossed["cut"] == crossed["before"] > 0
    gained = [late - early for early, late in zip(mixes["before"], mixes["cut"], strict=True)]
    assert min(gained) >= 0.4 * CUT / PACE, "each half goes on by itself"
    assert spread["cut"] > 1
    assert spread["halves"] < 1
    assert across() > crossed["cut"]
    assert _spread(flock.birds) < 3 * max(spread["before"], 0.1), "the distance has returned"
    for bird in flock.birds:
        assert bird.learner.outer_step == steps
        assert len(bird.swarm.view.live()) == 5
