"""The real pairing, exchange and discovery code over memory links and a virtual clock."""

import pytest
import trio

from peer.simulate.flock import Flock
from peer.swarm.assembly import Assembly
from peer.swarm.newcomer import Newcomer
from protocol.manifest import Manifest, Outer


def _overlapped(founder: bytes) -> Manifest:
    return Manifest(founder=founder, codecs=("fp32",))


def _strict(founder: bytes) -> Manifest:
    return Manifest(founder=founder, codecs=("fp32",), outer=Outer(overlap=False))


async def _fly(flock: Flock, seconds: float) -> None:
    with trio.move_on_after(seconds):
        async with trio.open_nursery() as nursery:
            for bird in flock.birds:
                nursery.start_soon(bird.fly)


@pytest.mark.anyio
@pytest.mark.parametrize("count", [2, 4, 8])
async def test_every_peer_finds_partners_and_the_mean_is_kept(tmp_path, count):
    flock = Flock(tmp_path, _overlapped, seed=count)
    founder = flock.hatch()
    for _ in range(count - 1):
        flock.hatch(through=(founder,))
    await _fly(flock, 60)
    values = [bird.learner.value for bird in flock.birds]
    assert sum(values) == pytest.approx(count * (count - 1) / 2)
    assert max(values) - min(values) < (count - 1) / 2
    for bird in flock.birds:
        assert bird.learner.outer_step == 10
        assert bird.learner.mixes >= 5
        assert bird.learner.mixes + bird.learner.skips == 10
        assert not bird.transport.statistics().handler_failures


@pytest.mark.anyio
async def test_a_strict_trainer_waits_for_its_partner_and_no_longer(tmp_path):
    flock = Flock(tmp_path, _strict)
    founder = flock.hatch(waits=True)
    flock.hatch(through=(founder,), waits=True, seconds=1.5)
    await _fly(flock, 300)
    assert [bird.learner.outer_step for bird in flock.birds] == [10, 10]
    assert all(bird.learner.mixes >= 8 for bird in flock.birds)


@pytest.mark.anyio
async def test_alone_is_a_skip_each_time_and_never_a_stop(tmp_path):
    flock = Flock(tmp_path, _overlapped)
    bird = flock.hatch()
    await _fly(flock, 60)
    assert bird.learner.outer_step == 10
    assert [reason for _, reason in bird.record.skips] == ["nobody else is here"] * 10
    assert bird.swarm.statistics().view.alone_seconds == pytest.approx(60)


@pytest.mark.anyio
async def test_a_third_joins_through_the_second_only_and_meets_the_first(tmp_path):
    flock = Flock(tmp_path, _overlapped)
    first = flock.hatch()
    second = flock.hatch(through=(first,))
    third = flock.hatch(through=(second,))
    await _fly(flock, 20)
    assert {contact.peer_id for contact in third.swarm.view.live()} == {
        first.identity.peer_id,
        second.identity.peer_id,
    }


@pytest.mark.anyio
@pytest.mark.parametrize("end", ["kill", "freeze"])
async def test_peers_go_on_when_one_is_killed_or_frozen(tmp_path, end):
    flock = Flock(tmp_path, _overlapped)
    founder = flock.hatch(outer_steps=100)
    for _ in range(3):
        flock.hatch(through=(founder,), outer_steps=100)
    others = flock.birds[1:]

    async def strike() -> None:
        await trio.sleep(20.5)
        (flock.kill if end == "kill" else flock.freeze)(founder)

    with trio.move_on_after(120):
        async with trio.open_nursery() as nursery:
            for bird in flock.birds:
                nursery.start_soon(bird.fly)
            nursery.start_soon(strike)
    for bird in others:
        assert bird.learner.outer_step == 100
        assert bird.learner.mixes + len(bird.record.skips) in (99, 100)
        # Three peers leave one over at each outer step, so a third of the steps may find nobody.
        assert bird.learner.mixes >= 50
        assert founder.identity.peer_id not in {contact.peer_id for contact in bird.swarm.view.live()}


@pytest.mark.anyio
async def test_a_newcomer_gets_the_state_of_a_donor(tmp_path):
    flock = Flock(tmp_path, _overlapped)
    founder = flock.hatch()
    guest = flock.hatch(through=(founder,))
    into = Assembly(tmp_path / "joining", flock.run_id, 8)
    with trio.move_on_after(30):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(founder.fly)
            nursery.start_soon(guest.fly)
            await trio.sleep(5.5)
            await guest.swarm.find_peers()
            swarm = guest.swarm
            assert await Newcomer(guest.transport, swarm.puller, flock.run_id, swarm.view, into).fetch()
    assert into.donors == (founder.identity.peer_id,)
    assert founder.record.guests == [(guest.identity.peer_id, 8)]
    assert into.progress.outer_step == 5
    assert into.file.stat().st_size == 8


@pytest.mark.anyio
async def test_goodbye_takes_a_peer_out_of_every_view_at_once(tmp_path):
    flock = Flock(tmp_path, _overlapped)
    founder = flock.hatch()
    leaver = flock.hatch(through=(founder,))
    with trio.move_on_after(30):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(founder.fly)
            nursery.start_soon(leaver.fly)
            await trio.sleep(5)
            assert founder.swarm.view.live()
            await leaver.swarm.leave()
            assert not founder.swarm.view.live()
            nursery.cancel_scope.cancel()
    assert (leaver.identity.peer_id, "goodbye") in founder.record.changes
