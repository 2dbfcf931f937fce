"""Whole exchanges over links of unequal speed, and with a trainer that dies."""

import pytest
import trio

from peer.simulate.flock import Flock
from peer.simulate.network import Link
from protocol.manifest import Manifest, Outer

pytestmark = pytest.mark.anyio


def _manifest(founder: bytes) -> Manifest:
    return Manifest(founder=founder, codecs=("fp32",))


def _strict(founder: bytes) -> Manifest:
    return Manifest(founder=founder, codecs=("fp32",), outer=Outer(overlap=False))


async def _fly(flock, seconds, *also):
    with trio.move_on_after(seconds):
        async with trio.open_nursery() as nursery:
            for bird in flock.birds:
                nursery.start_soon(bird.fly)
            for one in also:
                nursery.start_soon(one)


def _big_shares(flock, count=2, **learner):
    first = flock.hatch(padding=1_600_000, **learner)
    return [first, *(flock.hatch(through=(first,), padding=1_600_000, **learner) for _ in range(count - 1))]


@pytest.mark.parametrize("rate", [40_000, 200_000])
async def test_a_slow_uplink_delays_both_sides_and_neither_mixes_alone(tmp_path, rate):
    """At 40 kB/s a share takes 40 s, longer than the first deadline."""
    flock = Flock(tmp_path, _manifest)
    slow, fast = _big_shares(flock, outer_steps=12, seconds=120.0)
    flock.network.uplinks[slow.identity.peer_id] = Link(rate=rate)
    await _fly(flock, 12 * 120 + 600)
    assert slow.learner.mixes == fast.learner.mixes
    assert slow.learner.value + fast.learner.value == pytest.approx(1.0)
    assert slow.learner.mixes >= 7


async def test_an_offer_that_is_given_up_sets_the_partner_free(tmp_path):
    flock = Flock(tmp_path, _manifest)
    one, other = _big_shares(flock, outer_steps=10, seconds=30.0)
    flock.network.uplinks[other.identity.peer_id] = Link(delay=3.5)
    await _fly(flock, 500)
    assert one.swarm.pairing.engagement is None
    assert other.swarm.pairing.engagement is None
    assert one.learner.value + other.learner.value == pytest.approx(1.0)


async def test_a_trainer_that_died_and_repeats_its_outer_steps_is_served_again(tmp_path):
    flock = Flock(tmp_path, _strict)
    first = flock.hatch(waits=True, outer_steps=8)
    second = flock.hatch(through=(first,), waits=True, outer_steps=8)

    async def die() -> None:
        await trio.sleep(4.5)
        assert second.learner.outer_step >= 3
        second.learner.outer_step = 0
        second.swarm.pairing.forget()

    await _fly(flock, 400, die)
    assert (first.learner.outer_step, second.learner.outer_step) == (8, 8)


async def test_a_full_disk_of_ours_costs_skips_and_blames_nobody(tmp_path, monkeypatch):
    flock = Flock(tmp_path, _manifest)
    one, other = _big_shares(flock, outer_steps=6, seconds=5.0)

    def refuse(ref):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(one.swarm.store, "receive", refuse)
    await _fly(flock, 60)
    assert (one.learner.outer_step, one.learner.mixes) == (6, 0)
    assert {outcome.result for outcome in one.record.outcomes} == {"void"}
    assert all("No space left" in outcome.reason for outcome in one.record.outcomes)
    assert not one.swarm.view.avoided(other.identity.peer_id)
