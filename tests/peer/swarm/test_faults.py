"""Faults as data: fault x phase x role, each against a whole exchange. None costs more than one skip."""

from dataclasses import dataclass

import pytest
import trio

from peer.simulate.flock import Flock
from peer.swarm.service import PieceOf
from protocol.manifest import Manifest
from protocol.messages import Accepted, Confirm, Confirmed, Offer, Piece, Pull

pytestmark = pytest.mark.anyio


@dataclass(frozen=True)
class Fault:
    """What the hostile peer does when it should answer one kind of call."""

    name: str
    call: type
    behave: object


async def _stall(caller, call):
    await trio.sleep_forever()


async def _raise(caller, call):
    raise RuntimeError("a bug, or an attack")


async def _garbage(caller, call):
    return PieceOf(Piece(length=call.length, sha256=bytes(32)), bytes(call.length))


async def _accept_nonsense(caller, call):
    return Accepted(outer_step=1, share=call.share, codec="fp32")


async def _deny(caller, call):
    return Confirmed(both=False)


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
]


def _manifest(founder: bytes) -> Manifest:
    return Manifest(founder=founder, codecs=("fp32",))


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
@pytest.mark.parametrize("count", [1, 3], ids=["alone with it", "among others"])
async def test_a_hostile_peer_costs_skips_and_nothing_else(tmp_path, fault, count):
    flock = Flock(tmp_path, _manifest)
    hostile = flock.hatch(outer_steps=30)
    honest = [flock.hatch(through=(hostile,), outer_steps=30) for _ in range(count)]

    async def turn_hostile() -> None:
        await hostile.swarm.serving.wait()
        hostile.swarm.service.serve(fault.call, fault.behave)

    with trio.move_on_after(400):
        async with trio.open_nursery() as nursery:
            for bird in flock.birds:
                nursery.start_soon(bird.fly)
            nursery.start_soon(turn_hostile)
    for bird in honest:
        assert bird.learner.outer_step == 30, "training never waits"
        assert bird.learner.mixes + len(bird.record.skips) == 30
        assert not list(bird.learner.spool.glob("in-*")), "no half share is left behind"
    if count > 1:
        assert all(bird.learner.mixes >= 6 for bird in honest), "the others still find each other"
    met = sum(
        hostile.identity.peer_id == outcome.partner for bird in honest for outcome in bird.record.outcomes
    )
    if fault.call is Offer and fault.behave is not _accept_nonsense:
        return
    assert met, "the fault was met"
