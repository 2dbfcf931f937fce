"""The table of faults: fault x phase x side x carrier, generated, each with the outcome that must follow."""

from enum import Enum
from itertools import product
from types import SimpleNamespace

import pytest
import trio

from peer.simulate.flock import Flock
from peer.simulate.network import Link
from peer.swarm.guests import LINGER
from peer.swarm.learner import LearnerGoneError
from peer.swarm.objects import CHUNK
from protocol.state_index import SMALLEST_CHUNK
from tests.peer.swarm.faults import Carrier, Fault, Faulty, Phase, Side
from tests.peer.swarm.flying import assert_both_or_neither, fly
from tests.peer.swarm.newcomers import assembly, content, flying, give, givers, newcomer, small

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
EXCEPTIONS = dict.fromkeys(product(LIVES, BOTH_WAYS, Side, Carrier), Outcome.GO_ON)
# Once both have agreed, what fails at one side is that side's own loss.
EXCEPTIONS |= dict.fromkeys(product(LIVES, (Phase.APPLY,), Side, Carrier), Outcome.GO_ON)
# But a trainer that hangs in a mix holds its peer for good, which is busy with everybody.
EXCEPTIONS |= dict.fromkeys(product((Fault.STALL,), (Phase.APPLY,), Side, Carrier), Outcome.SKIP)
# Nobody needs lanes: without them, or when they break, bulk goes over the stream. So do two bad pieces.
EXCEPTIONS |= dict.fromkeys(product(LIVES, (Phase.LANES,), Side, Carrier), Outcome.GO_ON)
EXCEPTIONS |= dict.fromkeys(product(LIVES, (Phase.TRANSFER,), Side, (Carrier.LANES,)), Outcome.GO_ON)

SMALL, LARGE = 0, CHUNK + 1000
"""Bytes of a share: nothing, or what comes in two pieces and is worth lanes."""


def _cells(phases, carrier, size, over=""):
    return [
        pytest.param(fault, phase, side, carrier, size, id=f"{fault.value}-{phase.value}-{side.value}{over}")
        for fault, phase, side in product(Fault, phases, Side)
    ]


TABLE = [
    *_cells((Phase.DISCOVERY, Phase.OFFER, Phase.TRANSFER, Phase.APPLY), Carrier.STREAM, SMALL),
    *_cells((Phase.TRANSFER,), Carrier.STREAM, LARGE, "-over streams"),
    *_cells((Phase.LANES, Phase.TRANSFER), Carrier.LANES, LARGE, "-over lanes"),
]


@pytest.mark.parametrize(("fault", "phase", "side", "carrier", "size"), TABLE)
async def test_a_fault_costs_the_others_skips_at_the_most(tmp_path, fault, phase, side, carrier, size):
    flock = Flock(tmp_path, small)
    told = {"seconds": SECONDS, "padding": size, "lanes": carrier is Carrier.LANES}
    bad = flock.hatch(outer_steps=2 * OUTER_STEPS, **told)
    others = [flock.hatch(through=(bad,), outer_steps=OUTER_STEPS, **told) for _ in range(3)]
    # What two agree on for a minute has to go wrong at the first time.
    begins = 0.0 if phase is Phase.LANES else 5.0
    over = Carrier.STREAM if phase is Phase.LANES else carrier
    faulty = Faulty(flock, bad, fault, phase, side, carrier=over, begins=begins)
    mixed = []

    async def look() -> None:
        await faulty.struck.wait()
        # What both had agreed on before is none of the fault's.
        await trio.sleep(1.0)
        mixed.append(_mixed(others, bad))

    await fly(flock, FLIGHT, look)
    assert faulty.struck.is_set()
    _assert_unharmed(others)
    after = _mixed(others, bad) - mixed[0]
    live = [bird.identity.peer_id for bird in others if bad.identity.peer_id in _view(bird)]
    match EXCEPTIONS.get((fault, phase, side, carrier), FOLLOWS[fault]):
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


PIECES = 2 * CHUNK + 1000
"""Bytes of a chunk of a large state: of three pieces."""


def _syncs(side):
    return [
        pytest.param(fault, side, carrier, length, id=f"{fault.value}-state sync-{side.value}{more}")
        for fault in Fault
        for carrier, length, more in (
            (Carrier.STREAM, SMALLEST_CHUNK, ""),
            (Carrier.STREAM, PIECES, "-over streams"),
            (Carrier.LANES, PIECES, "-over lanes"),
        )
    ]


def _joined(tmp_path, carrier):
    flock = Flock(tmp_path, small)
    # Lanes take some round trips to open: at this rate they come before all is here over the stream.
    flock.network.link = Link(rate=4e6)
    told = {"outer_steps": OUTER_STEPS, "seconds": SECONDS, "lanes": carrier is Carrier.LANES}
    bad = flock.hatch(**told)
    others = [flock.hatch(through=(bad,), **told) for _ in range(2)]
    return flock, bad, others


def _gives_all_the_same(fault, carrier):
    """Whether a donor with this fault gives what it was asked for, sooner or later."""
    return fault is Fault.SLOW or (
        carrier is Carrier.LANES and fault in {Fault.FAIL_BEFORE, Fault.FAIL_SENDING, Fault.STALL}
    )


@pytest.mark.parametrize(("fault", "side", "carrier", "length"), _syncs(Side.ASKED))
async def test_a_faulty_donor_costs_a_newcomer_seconds(tmp_path, monkeypatch, fault, side, carrier, length):
    monkeypatch.setattr("protocol.state_index.SMALLEST_CHUNK", length)
    size = 3 * length
    flock, bad, (donor, guest) = _joined(tmp_path, carrier)
    bad_id, good_id = bad.identity.peer_id, donor.identity.peer_id
    faulty = Faulty(flock, bad, fault, Phase.STATE_SYNC, side, carrier=carrier, begins=0.0)

    async def use() -> None:
        states = {good_id: give(donor, content(size, 0)), bad_id: give(bad, content(size, 1))}
        into = assembly(flock, guest, size)
        with trio.fail_after(20):
            assert await newcomer(flock, guest, size, into).fetch()
        assert faulty.struck.is_set()
        assert set(givers(into, states)) == set(into.donors)
        assert set(into.donors) <= ({bad_id, good_id} if _gives_all_the_same(fault, carrier) else {good_id})

    await flying(flock, use)


@pytest.mark.parametrize(("fault", "side", "carrier", "length"), _syncs(Side.ASKS))
async def test_a_faulty_newcomer_costs_its_donor_a_place_for_a_while(
    tmp_path, monkeypatch, fault, side, carrier, length
):
    monkeypatch.setattr("protocol.state_index.SMALLEST_CHUNK", length)
    size = 3 * length
    flock, bad, (donor, guest) = _joined(tmp_path, carrier)
    faulty = Faulty(flock, bad, fault, Phase.STATE_SYNC, side, carrier=carrier, begins=0.0)

    async def use() -> None:
        for bird in (bad, guest):
            bird.swarm._donor._learner = SimpleNamespace(capture=_nothing)
        give(donor, content(size, 0))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(newcomer(flock, bad, size).fetch)
            await trio.sleep(10)
            nursery.cancel_scope.cancel()
        assert faulty.struck.is_set()
        assert await newcomer(flock, guest, size).fetch()
        await trio.sleep(3 * LINGER)
        assert not (donor.learner.spool / "state").exists(), "what was held for it is gone"
        assert donor.learner.outer_step == guest.learner.outer_step == OUTER_STEPS

    await flying(flock, use)


async def _nothing():
    raise LearnerGoneError
