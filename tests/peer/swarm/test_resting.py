"""A peer that makes no inner steps: it shares nothing old, and nobody waits for it."""

import pytest
import trio

from peer.simulate.flock import Flock
from peer.swarm.resting import PAUSED
from protocol.manifest import Manifest, Outer
from tests.peer.swarm.flying import assert_both_or_neither, fly
from tests.peer.swarm.groups import Chronicle, hatch, strict
from tests.peer.swarm.groups import fly as fly_until

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


def _pairs(*, overlap):
    outer = Outer(preset="noloco", overlap=overlap, mixes=1, alpha=0.5, beta=0.7)
    return lambda founder: Manifest(founder=founder, codecs=("fp32",), outer=outer)


@pytest.mark.parametrize("overlap", [True, False])
async def test_the_others_of_a_pair_run_lose_no_time_with_one_that_rests(tmp_path, overlap):
    flock = Flock(tmp_path, _pairs(overlap=overlap))
    resting = flock.hatch(seconds=4.0, outer_steps=10, waits=not overlap)
    others = [
        flock.hatch(through=(resting,), seconds=4.0, outer_steps=10, waits=not overlap) for _ in range(2)
    ]
    resting.swarm.pairing.rest(PAUSED)
    await fly(flock, 70)
    assert resting.record.outcomes == []
    # Its own strict trainer is let go at every boundary all the same.
    assert {reason for _, reason in resting.record.skips} == {"paused"}
    assert len(resting.record.skips) == resting.learner.outer_step == 10
    assert_both_or_neither(others)
    for bird in others:
        assert bird.learner.outer_step == 10
        assert bird.learner.mixes >= 8
        live = {contact.peer_id for contact in bird.swarm.view.live()}
        assert resting.identity.peer_id in live, "it is no stranger for that"


async def test_who_wakes_takes_part_again(tmp_path):
    flock = Flock(tmp_path, _pairs(overlap=True))
    first = flock.hatch(seconds=4.0, outer_steps=20)
    flock.hatch(through=(first,), seconds=4.0, outer_steps=20)
    first.swarm.pairing.rest(PAUSED)

    async def wake() -> None:
        await trio.sleep(41)
        assert first.record.outcomes == []
        first.swarm.pairing.wake()

    await fly(flock, 100, wake)
    assert_both_or_neither(flock.birds)
    assert first.learner.mixes >= 5


async def test_an_exchange_that_is_agreed_on_goes_on_to_its_end(tmp_path):
    flock = Flock(tmp_path, _pairs(overlap=True))
    first = flock.hatch(seconds=4.0, outer_steps=8, padding=400_000)
    second = flock.hatch(through=(first,), seconds=4.0, outer_steps=8, padding=400_000)
    pairing = first.swarm.pairing

    async def rest_in_mid_exchange() -> None:
        while pairing.engagement is None:
            await pairing.wait_change()
        begun = pairing.engagement
        pairing.rest(PAUSED)
        await pairing.wait_idle()
        assert begun.over
        assert [outcome.result for outcome in first.record.outcomes] == ["done"]

    await fly(flock, 60, rest_in_mid_exchange)
    assert [outcome.result for outcome in second.record.outcomes] == ["done"]


async def test_a_group_forms_without_one_that_rests_and_does_not_wait_for_it(tmp_path, monkeypatch):
    chronicle = Chronicle(monkeypatch)
    flock = Flock(tmp_path, strict)
    birds = hatch(flock, 4, waits=True, outer_steps=6, seconds=5.0)
    birds[0].swarm.pairing.rest(PAUSED)
    took = await fly_until(birds, 120)
    chronicle.check(birds)
    assert took < 60, "six outer steps of 5 s, and little more"
    assert {reason for _, reason in birds[0].record.skips} == {"paused"}
    assert birds[0].learner.skips == 6
    for bird in birds[1:]:
        assert bird.learner.mixes >= 5
    assert max(map(len, chronicle.members.values())) == 3


async def test_a_group_in_which_one_is_ends_well_though_it_is_to_rest(tmp_path, monkeypatch):
    chronicle = Chronicle(monkeypatch)
    flock = Flock(tmp_path, strict)
    birds = hatch(flock, 3, waits=True, outer_steps=3, seconds=5.0, padding=96_000)
    pairing = birds[1].swarm.pairing
    (gathering,) = pairing._gatherings

    async def rest_in_the_group() -> None:
        while gathering.group is None:
            await gathering.wait_change()
        pairing.rest(PAUSED)
        await pairing.wait_idle()
        assert birds[1].learner.mixes == 1

    await fly_until(birds, 60, rest_in_the_group)
    chronicle.check(birds)
    assert (birds[1].learner.mixes, birds[1].learner.skips) == (1, 2)
    assert birds[0].learner.mixes >= 2
