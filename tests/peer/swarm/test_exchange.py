"""Whole exchanges over links of unequal speed, in one phase and in two, and with a trainer that dies."""

from collections import Counter

import pytest
import trio

from peer.simulate.flock import Flock
from peer.simulate.network import Link
from protocol.manifest import Manifest, Model, Outer
from protocol.messages import AskBody, Confirm, Offer, Pull, Settle
from tests.peer.swarm.flying import assert_both_or_neither, fly

pytestmark = pytest.mark.anyio


def _manifest(founder: bytes) -> Manifest:
    return Manifest(founder=founder, codecs=("fp32",))


def _cut(codec, fragments):
    model, outer = Model(layers=4), Outer(fragments=fragments)
    return lambda founder: Manifest(founder=founder, codecs=(codec,), model=model, outer=outer)


def _strict(founder: bytes) -> Manifest:
    return Manifest(founder=founder, codecs=("fp32",), outer=Outer(overlap=False))


def _big_shares(flock, count=2, **learner):
    first = flock.hatch(padding=1_600_000, **learner)
    return [first, *(flock.hatch(through=(first,), padding=1_600_000, **learner) for _ in range(count - 1))]


@pytest.mark.parametrize("rate", [40_000, 200_000])
async def test_a_slow_uplink_delays_both_sides_and_neither_mixes_alone(tmp_path, rate):
    """At 40 kB/s a share takes 40 s, longer than the first deadline."""
    flock = Flock(tmp_path, _manifest)
    slow, fast = _big_shares(flock, outer_steps=12, seconds=120.0)
    flock.network.uplinks[slow.identity.peer_id] = Link(rate=rate)
    await fly(flock, 12 * 120 + 600)
    assert slow.learner.mixes == fast.learner.mixes
    assert slow.learner.value + fast.learner.value == pytest.approx(1.0)
    assert slow.learner.mixes >= 7


async def test_an_offer_that_is_given_up_sets_the_partner_free(tmp_path):
    flock = Flock(tmp_path, _manifest)
    one, other = _big_shares(flock, outer_steps=10, seconds=30.0)
    flock.network.uplinks[other.identity.peer_id] = Link(delay=3.5)
    await fly(flock, 500)
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
        second.swarm.pairing.forget()
        second.learner.restart()

    await fly(flock, 400, die)
    assert (first.learner.outer_step, second.learner.outer_step) == (8, 8)


async def test_a_full_disk_of_ours_costs_skips_and_blames_nobody(tmp_path, monkeypatch):
    flock = Flock(tmp_path, _manifest)
    one, other = _big_shares(flock, outer_steps=6, seconds=5.0)

    def refuse(ref):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(one.swarm.store, "receive", refuse)
    await fly(flock, 60)
    assert (one.learner.outer_step, one.learner.mixes) == (6, 0)
    assert {outcome.result for outcome in one.record.outcomes} == {"void"}
    assert all("No space left" in outcome.reason for outcome in one.record.outcomes)
    assert not one.swarm.view.avoided(other.identity.peer_id)


def _hatch(flock, count, **learner):
    first = flock.hatch(**learner)
    return [first, *(flock.hatch(through=(first,), **learner) for _ in range(count - 1))]


def _done(flock):
    return [outcome for bird in flock.birds for outcome in bird.record.outcomes if outcome.result == "done"]


@pytest.mark.parametrize("codec", ["fp32", "modulo", "auto"])
@pytest.mark.parametrize("fragments", [1, 4])
async def test_hundreds_of_exchanges_keep_the_mean_and_no_fragment_starves(tmp_path, codec, fragments):
    flock = Flock(tmp_path, _cut(codec, fragments), seed=fragments)
    _hatch(flock, 4, outer_steps=80 // fragments, seconds=3.0, times=2, fails=0.3, thinks=0.05)
    await fly(flock, 240 / fragments + 20)
    done = _done(flock)
    assert len(done) >= 300
    assert_both_or_neither(flock.birds)
    for fragment in range(fragments):
        values = [bird.learner.values[fragment] for bird in flock.birds]
        assert sum(values) == pytest.approx(6.0)
        assert max(values) - min(values) < 0.02, "all have come together"
    mixed = Counter(outcome.fragment for outcome in done)
    assert min(mixed[fragment] for fragment in range(fragments)) > 0.8 * len(done) / fragments
    for bird in flock.birds:
        assert not list(bird.learner.spool.glob("in-*"))
        assert not bird.transport.statistics().handler_failures
        assert bird.swarm.store.statistics().objects <= 2 * 2 * fragments


@pytest.mark.parametrize("codec", ["fp32", "modulo"])
async def test_lines_that_drop_now_and_then_cost_mixes_and_no_bird_mixes_alone(tmp_path, codec):
    """Of four birds, one or another has no line half of the time."""
    flock = Flock(tmp_path, _cut(codec, 4), seed=4)
    birds = _hatch(flock, 4, outer_steps=25, seconds=4.0, fails=0.3, thinks=0.05)
    flock.network.link = Link(delay=0.05)

    async def drop() -> None:
        await trio.sleep(10)
        while trio.current_time() < 95:
            await trio.sleep(flock.network.rng.random())
            struck = flock.network.rng.choice(birds).identity.peer_id
            flock.network.unplug(struck)
            await trio.sleep(flock.network.rng.random())
            flock.network.plug_in(struck)

    await fly(flock, 130, drop)
    assert_both_or_neither(birds)
    assert sum(bird.learner.value for bird in birds) == pytest.approx(6.0)
    failed = [outcome for bird in birds for outcome in bird.record.outcomes if outcome.result != "done"]
    assert len(failed) >= 20, "the drops were met"
    assert not [file for bird in birds for file in bird.learner.spool.glob("in-*")], "nothing half is left"
    assert len(_done(flock)) >= 80


@pytest.mark.parametrize("fragments", [1, 4])
async def test_what_is_in_flight_is_never_more_than_one_fragment_each_way(tmp_path, fragments):
    flock = Flock(tmp_path, _cut("fp32", fragments))
    whole = 1_000_000
    birds = _hatch(flock, 4, outer_steps=10, seconds=20.0, padding=whole // fragments)
    flock.network.link = Link(rate=400_000)
    await fly(flock, 260)
    assert_both_or_neither(birds)
    for bird in birds:
        largest = bird.swarm.statistics().exchange.largest
        assert largest == pytest.approx(2 * whole / fragments, rel=0.01)


async def test_a_link_too_slow_for_all_fragments_carries_some_of_each(tmp_path):
    """An exchange takes twice as long as there is from one fragment's outer step to the next one's."""
    flock = Flock(tmp_path, _cut("fp32", 4))
    birds = _hatch(flock, 2, outer_steps=12, seconds=40.0, padding=400_000)
    flock.network.link = Link(rate=20_000)
    await fly(flock, 600)
    assert_both_or_neither(birds)
    mixed = Counter(outcome.fragment for outcome in birds[0].record.outcomes if outcome.result == "done")
    assert sum(mixed.values()) >= 16
    assert min(mixed[fragment] for fragment in range(4)) >= 3


@pytest.mark.parametrize("thinks", [0.0, 2.0, 12.0])
async def test_trainers_that_take_their_time_neither_deadlock_nor_stop_exchanging(tmp_path, thinks):
    """Both sides ask each other at once; twelve seconds are more than the first patience."""
    flock = Flock(tmp_path, _cut("modulo", 1))
    birds = _hatch(flock, 2, outer_steps=10, seconds=60.0, fails=0.5, thinks=thinks)
    await fly(flock, 800)
    assert_both_or_neither(birds)
    assert birds[0].learner.mixes == birds[1].learner.mixes >= (10 if thinks < 10 else 8)
    reading = birds[0].swarm.statistics().exchange.reading
    assert reading.seconds == pytest.approx(thinks)
    assert reading.failed_blocks >= 1
    assert sum(bird.learner.value for bird in birds) == pytest.approx(1.0)


async def test_the_first_exchange_of_a_fragment_is_plain_and_the_next_ones_are_near(tmp_path):
    flock = Flock(tmp_path, _cut("modulo", 2))
    first, _ = _hatch(flock, 2, outer_steps=3, seconds=4.0)
    await fly(flock, 30)
    choices = [(outcome.fragment, outcome.choice) for outcome in first.record.outcomes]
    plain = "int8, as the partner does not know yet how far it is from us"
    near = "the run's codec is modulo"
    assert [choice for fragment, choice in choices if fragment == 0] == [plain, near, near]
    assert [choice for fragment, choice in choices if fragment == 1] == [plain, near, near]


@pytest.mark.parametrize(("rate", "codec"), [(4_000_000, "fp32"), (150_000, "int8"), (20_000, "modulo")])
async def test_auto_writes_what_the_link_carries_in_time(tmp_path, rate, codec):
    flock = Flock(tmp_path, _cut("auto", 1))
    birds = _hatch(flock, 2, outer_steps=8, seconds=20.0, padding=3_000_000)
    flock.network.link = Link(rate=rate)
    await fly(flock, 200)
    writing = birds[0].swarm.statistics().exchange.writing
    assert writing.codec == codec
    assert birds[1].identity.peer_id in writing.reason
    assert "s of the 20.0 s between outer steps" in writing.reason
    assert_both_or_neither(birds)


@pytest.mark.parametrize(("codec", "rate"), [("fp32", 80_000), ("modulo", 20_000)])
async def test_an_exchange_that_outlives_its_share_is_given_up_by_both(tmp_path, codec, rate):
    """It would take 20 s (the first of `modulo` is in int8); a share is closed after 10 s."""
    flock = Flock(tmp_path, _cut(codec, 1))
    birds = _hatch(flock, 2, outer_steps=20, seconds=5.0, padding=1_600_000)
    flock.network.link = Link(rate=rate)
    await fly(flock, 200)
    reasons = {outcome.reason for bird in birds for outcome in bird.record.outcomes if outcome.reason}
    assert "our share is no longer kept" in reasons
    assert [bird.learner.mixes for bird in birds] == [1, 1], "the last, which nothing closes"
    assert sum(bird.learner.value for bird in birds) == pytest.approx(1.0)


async def test_one_phase_takes_six_calls_and_two_phases_ten(tmp_path):
    counted = {}
    for codec in ("fp32", "modulo"):
        (tmp_path / codec).mkdir()
        flock = Flock(tmp_path / codec, _cut(codec, 1))
        birds = _hatch(flock, 2, outer_steps=10, seconds=4.0)
        calls = Counter()

        async def count(flock=flock, calls=calls) -> None:
            for bird in flock.birds:
                await bird.swarm.serving.wait()
                for kind in (Offer, AskBody, Pull, Confirm, Settle):

                    async def counted(caller, call, kind=kind, serve=bird.swarm.service._servers[kind]):
                        calls[kind.__name__] += 1
                        return await serve(caller, call)

                    bird.swarm.service.serve(kind, counted)

        await fly(flock, 60, count)
        assert birds[0].learner.mixes == 10
        counted[codec] = calls
    # Both offer at once, as they are in step; the offer of the smaller PeerID stands.
    assert counted["fp32"] == {"Offer": 20, "Pull": 20, "Confirm": 10, "Settle": 10}
    # The bounds are pulled from the second exchange on.
    assert counted["modulo"] == {"Offer": 20, "AskBody": 20, "Pull": 38, "Confirm": 10, "Settle": 10}
