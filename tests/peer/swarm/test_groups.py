"""Groups above two on a virtual clock: who is ready averages, and whoever mixes ends with the same bytes."""

import pytest
import trio
from msgspec.structs import replace

from peer.simulate.flock import Flock
from peer.swarm.service import PieceOf
from protocol.group_calls import AskPart, Form, Invite, Ready, Report
from protocol.manifest import Manifest, Outer
from protocol.messages import Noted, Piece, Pull
from tests.peer.swarm.groups import Chronicle, fly, hatch, leftovers, overlapped, strict

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(("count", "steps", "seconds"), [(3, 10, 3.0), (8, 5, 8.0), (32, 1, 15.0)])
async def test_those_who_are_ready_together_form_one_group(tmp_path, monkeypatch, count, steps, seconds):
    chronicle = Chronicle(monkeypatch)
    flock = Flock(tmp_path, strict)
    padding = 96_000
    # Long enough that all know of all before the first boundary.
    birds = hatch(flock, count, waits=True, outer_steps=steps, padding=padding, seconds=seconds)
    await fly(birds, 90)
    chronicle.check(birds)
    assert [len(members) for members in chronicle.members.values()] == [count] * steps
    for bird in birds:
        assert bird.learner.mixes == steps
        assert bird.learner.landed == birds[0].learner.landed
        assert bird.learner.value == birds[0].learner.value
        assert bird.learner.together == [False] + [True] * (steps - 1), "they began apart, once"
        assert not bird.transport.statistics().handler_failures
        # Reduce-scatter and all-gather: each way (n - 1)/n of a share, twice.
        for outcome in bird.record.outcomes:
            expected = 2 * (count - 1) * (padding // count + 16)
            assert outcome.bytes_in == expected
            assert outcome.members == tuple(sorted(each.identity.peer_id for each in birds))
        sent = sum(outcome.bytes_out for outcome in bird.record.outcomes) / steps
        assert sent == pytest.approx(2 * (count - 1) / count * padding, rel=0.1)


async def test_the_weights_are_equal_so_the_mean_is_kept(tmp_path):
    flock = Flock(tmp_path, strict)
    birds = [flock.hatch(waits=True, outer_steps=1)]
    birds += [flock.hatch(through=(birds[0],), waits=True, outer_steps=1) for _ in range(4)]
    await fly(birds, 60)
    assert [bird.learner.value for bird in birds] == [pytest.approx(2.0)] * 5


async def test_members_whose_boundaries_are_staggered_wait_for_each_other(tmp_path, monkeypatch):
    """Strict trainers: once they have met, they leave together and are together from then on."""
    chronicle = Chronicle(monkeypatch)
    flock = Flock(tmp_path, strict)
    founder = flock.hatch(waits=True, drift=0.1, seconds=10.0)
    birds = [founder, *(flock.hatch(through=(founder,), waits=True, seconds=10.0) for _ in range(3))]
    starts = [0.0, 2.0, 5.0, 7.0]
    with trio.move_on_after(250):
        async with trio.open_nursery() as nursery:
            for bird, start in zip(birds, starts, strict=True):
                nursery.start_soon(_fly_later, bird, start)
    chronicle.check(birds)
    for bird in birds:
        assert bird.learner.outer_step == 10
        assert bird.learner.skips <= 3
    assert [len(members) for members in chronicle.members.values()].count(4) >= 6


async def _fly_later(bird, seconds):
    await trio.sleep(seconds)
    await bird.fly()


async def test_trainers_that_do_not_wait_meet_though_their_boundaries_fall_apart(tmp_path, monkeypatch):
    chronicle = Chronicle(monkeypatch)
    flock = Flock(tmp_path, overlapped)
    founder = flock.hatch(drift=0.1, seconds=10.0, outer_steps=20)
    birds = [founder, *(flock.hatch(through=(founder,), seconds=10.0, outer_steps=20) for _ in range(3))]
    with trio.move_on_after(230):
        async with trio.open_nursery() as nursery:
            for bird, start in zip(birds, [0.0, 2.0, 4.0, 8.0], strict=True):
                nursery.start_soon(_fly_later, bird, start)
    chronicle.check(birds)
    for bird in birds:
        assert bird.learner.outer_step == 20, "nobody waits"
        assert bird.learner.mixes >= 14
    others = {frozenset(members) for members in chronicle.members.values()}
    for bird in birds:
        met = set().union(*(members for members in others if bird.identity.peer_id in members))
        assert len(met) == 4, "everybody meets everybody"


async def test_a_slow_peer_neither_holds_the_fast_up_nor_is_left_out(tmp_path, monkeypatch):
    chronicle = Chronicle(monkeypatch)
    flock = Flock(tmp_path, strict)
    founder = flock.hatch(waits=True, drift=0.1, seconds=10.0, outer_steps=15)
    birds = [founder]
    birds += [flock.hatch(through=(founder,), waits=True, seconds=10.0, outer_steps=15) for _ in range(4)]
    slow = flock.hatch(through=(founder,), waits=True, seconds=23.0, outer_steps=100)
    took = await fly([*birds, slow], 300, until=birds)
    chronicle.check([*birds, slow])
    assert min(bird.learner.mixes for bird in birds) >= 14
    assert took < 200, "the fast ones take 15 times 10 s and little more"
    assert slow.learner.mixes >= slow.learner.outer_step / 2


async def test_more_than_a_group_takes_form_several_at_once(tmp_path, monkeypatch):
    def four(founder: bytes) -> Manifest:
        outer = Outer(preset="diloco", alpha=0.9, group=4, mixes=1, overlap=False)
        return Manifest(founder=founder, codecs=("fp32",), outer=outer)

    chronicle = Chronicle(monkeypatch)
    flock = Flock(tmp_path, four)
    birds = hatch(flock, 8, waits=True, outer_steps=6)
    await fly(birds, 60)
    chronicle.check(birds)
    assert max(len(members) for members in chronicle.members.values()) == 4
    for bird in birds:
        assert bird.learner.mixes >= 5
    pairs = {(one, two) for members in chronicle.members.values() for one in members for two in members}
    assert len(pairs) > 48, "the groups are drawn anew each time"


async def test_each_fragment_has_groups_of_its_own(tmp_path, monkeypatch):
    def streaming(founder: bytes) -> Manifest:
        outer = Outer(preset="streaming-diloco", alpha=0.9, beta=0.4, group=64, mixes=1, fragments=2)
        return Manifest(founder=founder, codecs=("fp32",), outer=outer)

    chronicle = Chronicle(monkeypatch)
    flock = Flock(tmp_path, streaming)
    birds = hatch(flock, 4, outer_steps=6, seconds=4.0)
    await fly(birds, 60)
    chronicle.check(birds)
    for bird in birds:
        assert bird.learner.mixes == 12
        assert {outcome.fragment for outcome in bird.record.outcomes} == {0, 1}


async def test_alone_is_a_skip_at_once(tmp_path):
    flock = Flock(tmp_path, strict)
    bird = flock.hatch(waits=True, outer_steps=3)
    assert await fly([bird], 60) < 4
    assert [reason for _, reason in bird.record.skips] == ["nobody else is here"] * 3


# ---- hostile members


async def _stall(caller, call):
    await trio.sleep_forever()


async def _raise(caller, call):
    raise RuntimeError("a bug, or an attack")


async def _garbage(caller, call):
    return PieceOf(Piece(length=call.length, sha256=bytes(32)), bytes(call.length))


async def _agree(caller, call):
    return Noted()


FAULTS = {
    "stalls when others are ready": (Ready, _stall),
    "stalls at an invitation": (Invite, _stall),
    "breaks at an invitation": (Invite, _raise),
    "stalls at the list": (Form, _stall),
    "takes the list and does nothing": (Form, _agree),
    "stalls at its part": (AskPart, _stall),
    "breaks at its part": (AskPart, _raise),
    "stalls in its part": (Pull, _stall),
    "sends garbage": (Pull, _garbage),
    "stalls as a leader": (Report, _stall),
    "breaks as a leader": (Report, _raise),
}


@pytest.mark.parametrize("place", [0, 2], ids=["leader", "member"])
@pytest.mark.parametrize("fault", FAULTS)
async def test_a_hostile_member_costs_skips_and_nothing_else(tmp_path, monkeypatch, fault, place):
    chronicle = Chronicle(monkeypatch)
    flock = Flock(tmp_path, strict)
    steps = 8
    birds = sorted(
        hatch(flock, 4, waits=True, outer_steps=steps, seconds=5.0), key=lambda bird: bird.identity.peer_id
    )
    hostile = birds[place]
    honest = [bird for bird in birds if bird is not hostile]

    async def turn_hostile() -> None:
        await hostile.swarm.serving.wait()
        hostile.swarm.service.serve(*FAULTS[fault])

    await fly(birds, 400, turn_hostile, until=honest)
    chronicle.check(honest)
    for bird in honest:
        assert bird.learner.outer_step == steps
        assert bird.learner.mixes >= steps - 2
        assert not leftovers(bird)


async def test_a_member_that_never_delivers_its_average_is_left_out_of_the_next_groups(tmp_path, monkeypatch):
    chronicle = Chronicle(monkeypatch)
    flock = Flock(tmp_path, strict)
    birds = sorted(hatch(flock, 4, waits=True, outer_steps=4), key=lambda bird: bird.identity.peer_id)
    lazy, honest = birds[2], [*birds[:2], birds[3]]
    monkeypatch.setattr(type(lazy.learner), "reduce", _reduce_unless(lazy.learner, type(lazy.learner).reduce))
    assert await fly(birds, 400, until=honest) < 150
    chronicle.check(honest)
    for bird in honest:
        assert bird.learner.mixes >= 3


def _reduce_unless(lazy, original):
    async def reduce(learner, share, part, members):
        if learner is lazy:
            await trio.sleep_forever()
        return await original(learner, share, part, members)

    return reduce


async def test_a_list_that_nobody_asked_for_is_refused(tmp_path):
    flock = Flock(tmp_path, strict)
    birds = hatch(flock, 3, waits=True, outer_steps=2)
    seen = []

    async def serve(caller, call, bird=birds[1]):
        gatherer = bird.swarm.pairing
        mine = call.members[0]
        forgeries = (
            replace(call, invitation=bytes(16)),
            replace(call, members=call.members[::-1]),
            replace(call, members=(mine, *call.members)),
            replace(call, members=tuple(replace(one, tokens=one.tokens + 1) for one in call.members)),
            replace(call, members=tuple(one for one in call.members if one.peer_id != bird.identity.peer_id)),
            replace(call, reference=bytes(32)),
            replace(call, fragment=200),
        )
        seen.extend([(await gatherer.serve_form(caller, forged)).reason for forged in forgeries])
        return await gatherer.serve_form(caller, call)

    async def turn() -> None:
        await birds[1].swarm.serving.wait()
        birds[1].swarm.service.serve(Form, serve)

    await fly(birds, 60, turn)
    assert len(seen) >= 7
    assert [bird.learner.mixes for bird in birds] == [2, 2, 2]
