"""Faults as data: fault x phase x role, each against a whole exchange. None costs more than one skip."""

from dataclasses import dataclass, field

import pytest
import trio
from msgspec.structs import replace

from peer.simulate.flock import Flock
from peer.swarm.service import PieceOf
from protocol.manifest import Manifest
from protocol.messages import (
    Accepted,
    AskAgain,
    AskBody,
    BodyIs,
    Confirm,
    Confirmed,
    ObjectRef,
    Offer,
    Piece,
    Pull,
    Settle,
)
from tests.peer.swarm.flying import assert_both_or_neither, fly

pytestmark = pytest.mark.anyio


@dataclass(frozen=True)
class Fault:
    """What the hostile peer does when it should answer one kind of call."""

    name: str
    call: type
    behave: object
    codec: str = "fp32"
    options: dict[str, float] = field(default_factory=dict)


async def _stall(caller, call):
    await trio.sleep_forever()


async def _raise(caller, call):
    raise RuntimeError("a bug, or an attack")


async def _garbage(caller, call):
    return PieceOf(Piece(length=call.length, sha256=bytes(32)), bytes(call.length))


async def _accept_nonsense(caller, call):
    said = {"share": call.share, "codec": call.codec, "bounds": call.bounds}
    return Accepted(outer_step=1, tokens=0, standing=64, **said)


async def _deny(caller, call):
    return Confirmed(both=False)


def _body(size, codec="modulo"):
    async def promise(caller, call):
        return BodyIs(share=ObjectRef(sha256=bytes(32), size=size), codec=codec)

    return promise


FAILS = {"fails": 0.5}
FAULTS = [
    Fault("stalls at the offer", Offer, _stall),
    Fault("breaks at the offer", Offer, _raise),
    Fault("promises what it does not have", Offer, _accept_nonsense),
    Fault("stalls mid-exchange", Pull, _stall),
    Fault("breaks mid-exchange", Pull, _raise),
    Fault("sends garbage", Pull, _garbage),
    Fault("stalls at the confirmation", Confirm, _stall),
    Fault("breaks at the confirmation", Confirm, _raise),
    Fault("denies the confirmation", Confirm, _deny),
    Fault("stalls where bounds are pulled", Pull, _stall, "modulo"),
    Fault("sends garbage for bounds", Pull, _garbage, "modulo"),
    Fault("stalls where it should write", AskBody, _stall, "modulo"),
    Fault("breaks where it should write", AskBody, _raise, "modulo"),
    Fault("promises a body that it does not have", AskBody, _body(100), "modulo"),
    Fault("promises a body beyond all measure", AskBody, _body(1 << 36), "modulo"),
    Fault("promises a body in a codec of its own", AskBody, _body(100, "zip"), "modulo"),
    Fault("stalls where it should write again", AskAgain, _stall, "modulo", FAILS),
    Fault("breaks where it should write again", AskAgain, _raise, "modulo", FAILS),
    Fault("promises blocks that it does not have", AskAgain, _body(100), "modulo", FAILS),
    Fault("promises blocks beyond all measure", AskAgain, _body(1 << 36), "modulo", FAILS),
    Fault("stalls at the confirmation of what was opened", Confirm, _stall, "modulo"),
]


def _manifest(codec):
    return lambda founder: Manifest(founder=founder, codecs=(codec,))


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
@pytest.mark.parametrize("count", [1, 3], ids=["alone with it", "among others"])
async def test_a_hostile_peer_costs_skips_and_nothing_else(tmp_path, fault, count):
    flock = Flock(tmp_path, _manifest(fault.codec))
    told = {"outer_steps": 20, "seconds": 3.0, **fault.options}
    hostile = flock.hatch(**told)
    honest = [flock.hatch(through=(hostile,), **told) for _ in range(count)]

    async def turn_hostile() -> None:
        await hostile.swarm.serving.wait()
        hostile.swarm.service.serve(fault.call, fault.behave)

    await fly(flock, 100, turn_hostile)
    for bird in honest:
        assert bird.learner.outer_step == 20, "training never waits"
        assert bird.learner.mixes + len(bird.record.skips) == 20
        assert not list(bird.learner.spool.glob("in-*")), "no half share is left behind"
        assert bird.swarm.pairing.engagement is None
        assert bird.swarm.store.statistics().objects <= 4, "what was written for the hostile peer is gone"
    if count > 1:
        assert all(bird.learner.mixes >= 5 for bird in honest), "the others still find each other"
        assert_both_or_neither(honest)
    met = sum(
        hostile.identity.peer_id == outcome.partner for bird in honest for outcome in bird.record.outcomes
    )
    if fault.call is Offer and fault.behave is not _accept_nonsense:
        return
    assert met, "the fault was met"


PHASES = [Offer, Pull, AskBody, AskAgain, Confirm, Settle]


GOES = [
    *(("fp32", "unplug", phase) for phase in PHASES if phase not in (AskBody, AskAgain)),
    *(("modulo", end, phase) for end in ("kill", "freeze", "unplug") for phase in PHASES),
]
"""How `fp32` takes a kill and a freeze is in the table of faults."""


@pytest.mark.parametrize(("codec", "end", "phase"), GOES, ids=lambda each: getattr(each, "__name__", each))
async def test_a_peer_that_goes_in_any_phase_leaves_the_others_whole(tmp_path, codec, end, phase):
    """It goes when it is first asked, before it answers; unplugged, it comes back after five seconds."""
    flock = Flock(tmp_path, _manifest(codec))
    first = flock.hatch(outer_steps=25, seconds=2.0, fails=0.5)
    others = [flock.hatch(through=(first,), outer_steps=25, seconds=2.0, fails=0.5) for _ in range(3)]
    gone = trio.Event()

    async def strike() -> None:
        await first.swarm.serving.wait()
        serve = first.swarm.service._servers[phase]

        async def go(caller, call):
            if not gone.is_set() and trio.current_time() > 5:
                gone.set()
                if end == "unplug":
                    flock.network.unplug(first.identity.peer_id)
                    await trio.sleep(5)
                    flock.network.plug_in(first.identity.peer_id)
                else:
                    (flock.kill if end == "kill" else flock.freeze)(first)
            return await serve(caller, call)

        first.swarm.service.serve(phase, go)

    await fly(flock, 80, strike)
    assert gone.is_set()
    survivors = others if end != "unplug" else flock.birds
    for bird in others:
        assert bird.learner.outer_step == 25
        assert bird.learner.mixes >= 8
        assert bird.swarm.pairing.engagement is None
        assert not list(bird.learner.spool.glob("in-*"))
    assert_both_or_neither(survivors)
    if end == "unplug":
        assert sum(bird.learner.value for bird in flock.birds) == pytest.approx(6.0)


async def test_blocks_that_fail_twice_end_the_exchange_for_both(tmp_path):
    flock = Flock(tmp_path, _manifest("modulo"))
    first = flock.hatch(outer_steps=10)
    second = flock.hatch(through=(first,), outer_steps=10, fails=1.0, fails_twice=True)
    await fly(flock, 60)
    # The first exchange has no bounds, is plain, and cannot fail so.
    assert first.learner.mixes == second.learner.mixes == 1
    reasons = [outcome.reason for outcome in second.record.outcomes if outcome.result == "failed"]
    assert reasons
    assert set(reasons) == {"1 blocks failed twice"}
    assert sum(bird.learner.value for bird in flock.birds) == pytest.approx(1.0)


async def test_blocks_are_written_again_once_an_exchange(tmp_path):
    flock = Flock(tmp_path, _manifest("modulo"))
    first = flock.hatch(outer_steps=10, fails=1.0)
    second = flock.hatch(through=(first,), outer_steps=10, fails=1.0)
    greedy = []

    async def ask_twice() -> None:
        await first.swarm.serving.wait()
        serve = first.swarm.service._servers[AskAgain]

        async def twice(caller, call):
            answer = await serve(caller, call)
            greedy.append(await serve(caller, replace(call)))
            return answer

        first.swarm.service.serve(AskAgain, twice)

    await fly(flock, 60, ask_twice)
    assert first.learner.mixes == second.learner.mixes >= 8
    assert {answer.reason for answer in greedy} == {"blocks are written again once, after the share itself"}
