"""The table of faults: fault x phase x side, generated, each with the outcome that must follow."""

from enum import Enum
from itertools import product
from types import SimpleNamespace

import pytest
import trio

from peer.simulate.flock import Flock
from peer.swarm.guests import LINGER
from peer.swarm.learner import LearnerGoneError
from protocol.state_index import SMALLEST_CHUNK
from tests.peer.swarm.faults import Fault, Faulty, Phase, Side
from tests.peer.swarm.flying import assert_both_or_neither, fly
from tests.peer.swarm.newcomers import assembly, content, flying, give, newcomer, small

pytestmark = pytest.mark.anyio

OUTER_STEPS, SECONDS = 12, 2.0
FLIGHT = 60.0
"""Seconds: the outer steps, three missed signs of life, and the longest exchange that is given up."""


class Outcome(Enum):
    """What follows for the others, who in any case make all their steps and find each other."""

    GO_ON = "exchanges with it go on"
    SKIP = "it is mixed with no more"
    GONE = "it is out of every view"


FOLLOWS = {
    Fault.FAIL_BEFORE: Outcome.SKIP,
    Fault.FAIL_SENDING: Outcome.SKIP,
    Fault.SLOW: Outcome.GO_ON,
    Fault.STALL: Outcome.SKIP,
    Fault.CORRUPT: Outcome.SKIP,
    Fault.VANISH: Outcome.GONE,
    Fault.FREEZE: Outcome.GONE,
}
LIVES = (Fault.FAIL_BEFORE, Fault.FAIL_SENDING, Fault.STALL, Fault.CORRUPT)

# What goes wrong one way goes well the other: others ask what it cannot, and it asks what it cannot answer.
BOTH_WAYS = (Phase.DISCOVERY, Phase.OFFER)
EXCEPTIONS = dict.fromkeys(product(LIVES, BOTH_WAYS, Side), Outcome.GO_ON)
# Once both have agreed, what fails at one side is that side's own loss.
EXCEPTIONS |= dict.fromkeys(product(LIVES, (Phase.APPLY,), Side), Outcome.GO_ON)
# But a trainer that hangs in a mix holds its peer for good, which is busy with everybody.
EXCEPTIONS |= dict.fromkeys(product((Fault.STALL,), (Phase.APPLY,), Side), Outcome.SKIP)

TABLE = [
    pytest.param(fault, phase, side, id=f"{fault.value}-{phase.value}-{side.value}")
    for fault, phase, side in product(
        Fault, (Phase.DISCOVERY, Phase.OFFER, Phase.TRANSFER, Phase.APPLY), Side
    )
]


@pytest.mark.parametrize(("fault", "phase", "side"), TABLE)
async def test_a_fault_costs_the_others_skips_at_the_most(tmp_path, fault, phase, side):
    flock = Flock(tmp_path, small)
    bad = flock.hatch(outer_steps=2 * OUTER_STEPS, seconds=SECONDS)
    others = [flock.hatch(through=(bad,), outer_steps=OUTER_STEPS, seconds=SECONDS) for _ in range(3)]
    faulty = Faulty(flock, bad, fault, phase, side)
    mixed = []

    async def count() -> None:
        await faulty.struck.wait()
        # What both had agreed on before is none of the fault's.
        await trio.sleep(1.0)
        mixed.append(_mixed(others, bad))

    await fly(flock, FLIGHT, count)
    assert faulty.struck.is_set()
    _assert_unharmed(others)
    after = _mixed(others, bad) - mixed[0]
    live = [bird.identity.peer_id for bird in others if bad.identity.peer_id in _view(bird)]
    match EXCEPTIONS.get((fault, phase, side), FOLLOWS[fault]):
        case Outcome.GO_ON:
            assert after
        case Outcome.SKIP:
            assert not after
        case Outcome.GONE:
            assert not after
            assert not live


def _mixed(birds, other):
    done = [outcome for bird in birds for outcome in bird.record.outcomes if outcome.result == "done"]
    return sum(outcome.partner == other.identity.peer_id for outcome in done)


def _view(bird):
    return {contact.peer_id for contact in bird.swarm.view.live()}


def _assert_unharmed(birds):
    for bird in birds:
        assert bird.learner.outer_step == OUTER_STEPS
        assert bird.learner.mixes + len(bird.record.skips) == OUTER_STEPS
        assert bird.swarm.pairing.engagement is None
        assert not list(bird.learner.spool.glob("in-*")), "no half share is left behind"
        assert bird.learner.mixes >= OUTER_STEPS // 4, "the others still find each other"
    assert_both_or_neither(birds)


DONORS = [
    pytest.param(fault, Phase.STATE_SYNC, Side.ASKED, id=f"{fault.value}-state sync-is asked")
    for fault in Fault
]
NEWCOMERS = [
    pytest.param(fault, Phase.STATE_SYNC, Side.ASKS, id=f"{fault.value}-state sync-asks") for fault in Fault
]
SIZE = 3 * SMALLEST_CHUNK


def _joined(tmp_path):
    flock = Flock(tmp_path, small)
    bad = flock.hatch(outer_steps=OUTER_STEPS, seconds=SECONDS)
    others = [flock.hatch(through=(bad,), outer_steps=OUTER_STEPS, seconds=SECONDS) for _ in range(2)]
    return flock, bad, others


@pytest.mark.parametrize(("fault", "phase", "side"), DONORS)
async def test_a_faulty_donor_costs_a_newcomer_seconds(tmp_path, fault, phase, side):
    flock, bad, (donor, guest) = _joined(tmp_path)
    bad_id, good_id = bad.identity.peer_id, donor.identity.peer_id
    faulty = Faulty(flock, bad, fault, phase, side, begins=0.0)

    async def use() -> None:
        give(donor, content(SIZE, 0)), give(bad, content(SIZE, 1))
        into = assembly(flock, guest, SIZE)
        with trio.fail_after(20):
            assert await newcomer(flock, guest, SIZE, into).fetch()
        assert faulty.struck.is_set()
        assert set(into.donors) <= ({bad_id, good_id} if fault is Fault.SLOW else {good_id})

    await flying(flock, use)


@pytest.mark.parametrize(("fault", "phase", "side"), NEWCOMERS)
async def test_a_faulty_newcomer_costs_its_donor_a_place_for_a_while(tmp_path, fault, phase, side):
    flock, bad, (donor, guest) = _joined(tmp_path)
    faulty = Faulty(flock, bad, fault, phase, side, begins=0.0)

    async def use() -> None:
        for bird in (bad, guest):
            bird.swarm._donor._learner = SimpleNamespace(capture=_nothing)
        give(donor, content(SIZE, 0))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(newcomer(flock, bad, SIZE).fetch)
            await trio.sleep(10)
            nursery.cancel_scope.cancel()
        assert faulty.struck.is_set()
        assert await newcomer(flock, guest, SIZE).fetch()
        await trio.sleep(3 * LINGER)
        assert not (donor.learner.spool / "state").exists(), "what was held for it is gone"
        assert donor.learner.outer_step == guest.learner.outer_step == OUTER_STEPS

    await flying(flock, use)


async def _nothing():
    raise LearnerGoneError
