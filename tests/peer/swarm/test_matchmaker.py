"""The search for partners: strict trainers that wait, and partners that answer too late."""

import pytest
import trio

from peer.simulate.flock import Flock
from peer.simulate.network import Link
from protocol.manifest import Manifest, Model, Outer
from protocol.messages import Abandon, Offer
from tests.peer.swarm.flying import assert_both_or_neither, fly

pytestmark = pytest.mark.anyio


def _manifest(*, overlap=True, fragments=1):
    outer = Outer(overlap=overlap, fragments=fragments)
    return lambda founder: Manifest(founder=founder, codecs=("fp32",), model=Model(layers=4), outer=outer)


async def test_a_search_that_ends_in_mid_offer_tells_the_partner(tmp_path):
    """Else the partner would hold itself ready for an exchange that never begins."""
    flock = Flock(tmp_path, _manifest(overlap=False))
    asked = flock.hatch(outer_steps=0)
    strict = flock.hatch(through=(asked,), outer_steps=1, seconds=5.0, waits=True)
    abandoned = trio.Event()

    async def think_too_long(caller, call):
        await trio.sleep(60)

    async def note(caller, call, serve=asked.swarm._partner_calls._serve_abandon):
        abandoned.set()
        return await serve(caller, call)

    async def answer_late() -> None:
        await asked.swarm.serving.wait()
        asked.swarm.service.serve(Offer, think_too_long)
        asked.swarm.service.serve(Abandon, note)
        # Less than what an offer may take: the search ends first.
        strict.swarm._matchmaker._patience.observe(0.1)

    await fly(flock, 30, answer_late)
    assert abandoned.is_set()
    assert strict.record.skips == [(1, "out of time")]
    assert strict.learner.outer_step == 1
    live = {contact.peer_id for contact in strict.swarm.view.live()}
    assert asked.identity.peer_id in live, "it is not blamed for our hurry"


async def test_strict_trainers_with_fragments_wait_for_each_one(tmp_path):
    flock = Flock(tmp_path, _manifest(overlap=False, fragments=4))
    first = flock.hatch(waits=True, outer_steps=6, seconds=4.0)
    second = flock.hatch(through=(first,), waits=True, outer_steps=6, seconds=5.0)
    await fly(flock, 200)
    assert [first.learner.outer_step, second.learner.outer_step] == [6, 6]
    assert_both_or_neither(flock.birds)
    assert first.learner.mixes >= 20


async def test_a_share_that_was_never_tried_is_counted_when_the_next_one_comes(tmp_path):
    """The link is busy with another fragment's exchange all the while."""
    flock = Flock(tmp_path, _manifest(fragments=4))
    first = flock.hatch(outer_steps=4, seconds=8.0, padding=400_000)
    flock.hatch(through=(first,), outer_steps=4, seconds=8.0, padding=400_000)
    flock.network.link = Link(rate=50_000)
    await fly(flock, 120)
    reasons = {reason for _, reason in first.record.skips}
    assert "overtaken by the next outer step" in reasons
    assert first.learner.mixes + len(first.record.skips) == 16
