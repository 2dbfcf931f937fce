"""Who meets whom where all peers have exactly the same pace, so that chance alone can mix them."""

from collections import Counter
from itertools import combinations

import pytest
import trio

from peer.simulate.flock import Flock
from protocol.manifest import Manifest, Outer
from tests.peer.swarm.flying import assert_both_or_neither, fly

pytestmark = pytest.mark.anyio

PACE = 2.0
STEPS = 60


def _once(founder):
    """A share is spent by its first mix: whoever comes too late for it has to find another."""
    return Manifest(founder=founder, codecs=("fp32",), outer=Outer(mixes=1, seeks=1))


def _hatch(folder, count, apart):
    flock = Flock(folder, _once, seed=count)
    for number in range(count):
        through = tuple(flock.birds[:1])
        flock.hatch(through=through, outer_steps=STEPS, seconds=PACE, begins=5.0 + apart * number)
    return flock


@pytest.mark.parametrize("count", [4, 6])
@pytest.mark.parametrize("spread", [1.0, 0.1], ids=["all over the step", "within a tenth of it"])
async def test_peers_in_step_with_one_another_do_not_fall_apart_into_pairs(tmp_path, count, spread):
    flock = _hatch(tmp_path, count, spread * PACE / count)
    await fly(flock, STEPS * PACE + 15)
    assert_both_or_neither(flock.birds)
    names = [bird.identity.peer_id for bird in flock.birds]
    met = Counter(
        (bird.identity.peer_id, outcome.partner)
        for bird in flock.birds
        for outcome in bird.record.outcomes
        if outcome.result == "done"
    )
    pairs = [met[pair] for pair in combinations(names, 2)]
    chance = sum(pairs) / len(pairs)
    assert min(pairs) > chance / 8, "everybody meets everybody"
    assert max(pairs) < 3 * chance, "and nobody one peer alone: that would be so often"
    for bird in flock.birds:
        assert len(bird.record.skips) <= STEPS / 10


async def test_who_knows_one_peer_alone_does_not_hold_out_for_others(tmp_path):
    flock = _hatch(tmp_path, 2, 0.0)
    first = flock.birds[0]
    ended = []
    first.swarm._exchanger._observer = lambda outcome: ended.append(trio.current_time())
    await fly(flock, STEPS * PACE + 15)
    assert len(ended) == STEPS
    assert max((at - first.learner.begins) % PACE for at in ended) < PACE / 4
