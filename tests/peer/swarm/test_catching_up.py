"""A peer that was left behind: when it fetches a state, when not, how often, and back in a whole swarm."""

import pytest
import trio

from peer.simulate.flock import Flock
from peer.swarm.catching_up import (
    AGAIN_FIRST,
    AGAIN_LONGEST,
    LOOK,
    OUTNUMBERED,
    CatchingUp,
    CatchUpStatistics,
)
from peer.swarm.resting import CATCHING_UP, PAUSED, STARVED, Resting
from tests.peer.swarm.flying import assert_both_or_neither, fly
from tests.peer.swarm.newcomers import small

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


class Judge:
    """Says that we are behind, as told."""

    def __init__(self):
        self.lead = self.few = None
        self.admitted = 0
        self.mixed = trio.Event()

    def steps(self):
        return self.lead

    def outnumbered(self):
        return self.few

    def admit(self):
        self.admitted += 1

    def came_in(self, outer_step):
        self.lead = None

    async def wait_for_a_mix(self):
        await self.mixed.wait()

    def mix(self):
        mixed, self.mixed = self.mixed, trio.Event()
        mixed.set()


class Sharing:
    """What pairs: says why it does not."""

    resting = ""

    def rest(self, why):
        self.resting = why

    def wake(self):
        self.resting = ""


class Place:
    """A `CatchingUp` between a source and an observer that the test plays."""

    def __init__(self):
        self.judge, self.sharing = Judge(), Sharing()
        self.resting = Resting(self.sharing)
        self.takes = 10.0
        self.reason, self.outer_step = "", 500
        self.told, self.fetched, self.forgotten = [], [], 0
        self.one = CatchingUp(self.judge, self.resting, self, self)

    async def fetch(self):
        self.fetched.append(trio.current_time())
        assert self.sharing.resting == CATCHING_UP
        assert self.one.statistics().behind == self.judge.lead
        await trio.sleep(self.takes)
        return self.reason

    async def adopt(self):
        return self.outer_step or "it was of no use"

    def forget(self):
        self.forgotten += 1

    def fell_behind(self, outer_steps):
        self.told.append(("behind", outer_steps))

    def caught_up(self, outer_steps, seconds):
        self.told.append(("caught up", outer_steps, round(seconds)))

    def stayed_behind(self, outer_steps, reason):
        self.told.append(("stayed", outer_steps, reason))


@pytest.fixture
async def place():
    place = Place()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(place.one.run)
        yield place
        nursery.cancel_scope.cancel()


async def test_it_rests_fetches_takes_the_state_and_shares_again(place):
    await trio.sleep(100)
    assert place.fetched == []
    place.judge.lead = 300
    await trio.sleep(place.takes + 2 * LOOK)
    assert place.told == [("behind", 300), ("caught up", 300, 10)]
    assert (place.judge.admitted, place.sharing.resting) == (1, "")
    assert place.one.statistics() == CatchUpStatistics(behind=0, caught_up=1, failed=0)


@pytest.mark.parametrize("reason", ["nobody has one", ""])
async def test_what_comes_to_nothing_is_tried_ever_more_seldom(place, reason):
    place.judge.lead, place.reason, place.outer_step = 300, reason, None
    await trio.sleep(6 * 3600)
    waits = [
        late - early - place.takes for early, late in zip(place.fetched, place.fetched[1:], strict=False)
    ]
    assert waits[:3] == pytest.approx([AGAIN_FIRST, 2 * AGAIN_FIRST, 4 * AGAIN_FIRST], abs=2 * LOOK)
    assert max(waits) == pytest.approx(AGAIN_LONGEST, abs=2 * LOOK)
    assert len(waits) <= 11
    assert set(place.told) == {
        ("behind", 300),
        ("stayed", 300, reason or "it was of no use"),
    }
    assert place.one.statistics().failed == len(place.fetched)
    assert place.sharing.resting == ""


async def test_a_mix_ends_it_and_what_was_fetched_is_dropped(place):
    place.judge.lead, place.reason = 300, "nobody has one"
    await trio.sleep(20)
    assert len(place.fetched) == 1
    assert place.one.statistics().reason == "nobody has one"
    place.judge.lead = None
    place.judge.mix()
    await trio.sleep(3600)
    assert (len(place.fetched), place.forgotten) == (1, 1)
    assert place.one.statistics().reason == ""
    place.judge.mix()
    await trio.sleep(1)
    assert place.forgotten == 1


async def test_a_mix_that_comes_long_after_the_attempt_drops_it_too(place):
    place.judge.lead, place.reason = 300, "nobody has one"
    await trio.sleep(20)
    place.judge.lead = None
    await trio.sleep(AGAIN_LONGEST)
    assert place.forgotten == 0
    place.judge.mix()
    await trio.sleep(1)
    assert place.forgotten == 1


async def test_a_mix_that_lands_while_it_fetches_drops_nothing(place):
    place.judge.lead, place.takes = 300, 100.0
    await trio.sleep(20)
    place.judge.mix()
    await trio.sleep(20)
    assert place.forgotten == 0


async def test_a_pause_ends_the_attempt_and_nothing_is_fetched_during_it(place):
    place.judge.lead, place.takes = 300, 1000.0
    await trio.sleep(20)
    place.resting.begin(PAUSED)
    await trio.sleep(5000)
    assert len(place.fetched) == 1
    assert place.told[-1] == ("stayed", 300, "paused meanwhile")
    assert place.sharing.resting == PAUSED
    assert place.forgotten == 1, "it would be old after the pause, and may be what fills the disk"
    assert place.one.statistics().failed == 0
    place.judge.lead = None
    place.resting.end(PAUSED)
    await trio.sleep(100)
    assert len(place.fetched) == 1, "after a pause it is judged anew"


async def test_those_who_are_too_few_to_be_followed_are_told_of_once(place):
    place.judge.few = 500
    await trio.sleep(20)
    place.judge.mix()
    await trio.sleep(20)
    assert place.told == [("stayed", 500, OUTNUMBERED)]
    assert place.one.statistics() == CatchUpStatistics(reason=OUTNUMBERED)
    assert (place.fetched, place.sharing.resting) == ([], "")
    place.judge.few = None
    await trio.sleep(AGAIN_LONGEST)
    assert place.one.statistics() == CatchUpStatistics()


async def test_a_wait_for_data_ends_no_attempt(place):
    place.judge.lead, place.takes = 300, 100.0
    await trio.sleep(20)
    place.resting.begin(STARVED)
    await trio.sleep(5)
    place.resting.end(STARVED)
    await trio.sleep(100)
    assert place.told[-1] == ("caught up", 300, 100)


async def test_reasons_to_rest_hold_side_by_side():
    sharing = Sharing()
    resting = Resting(sharing)
    resting.begin(PAUSED)
    resting.begin(CATCHING_UP)
    resting.begin(PAUSED)
    assert (resting.reasons, sharing.resting) == ((PAUSED, CATCHING_UP), PAUSED)
    resting.end(PAUSED)
    resting.end(PAUSED)
    assert sharing.resting == CATCHING_UP
    resting.end(CATCHING_UP)
    assert (resting.reasons, sharing.resting) == ((), "")


# ---- the real swarm

AWAY, BACK = 120.0, 90.0
"""Seconds of outer steps of two seconds."""


class Adopting:
    """Fetches nothing and takes what a donor has just now: how a state travels is tested elsewhere."""

    def __init__(self, bird, donor):
        self.bird, self.donor = bird, donor
        self.told = []

    async def fetch(self):
        return ""

    async def adopt(self):
        learner, donor = self.bird.learner, self.donor.learner
        learner.values[:] = donor.values
        learner.outer_step = donor.outer_step
        return donor.outer_step

    def forget(self):
        pass

    def fell_behind(self, outer_steps):
        self.told.append(("behind", outer_steps))

    def caught_up(self, outer_steps, seconds):
        self.told.append(("caught up", outer_steps))

    def stayed_behind(self, outer_steps, reason):
        raise AssertionError(reason)


@pytest.mark.parametrize("others", [1, 2])
async def test_a_peer_that_was_away_for_long_is_refused_catches_up_and_mixes_again(tmp_path, others):
    flock = Flock(tmp_path, small)
    options = {"outer_steps": 10_000, "seconds": 2.0, "learns": 0.1, "reach": 2.0, "jitter": 0.1}
    first = flock.hatch(**options)
    for _ in range(others):
        flock.hatch(through=(first,), **options)
    back = flock.birds[-1]
    sources = [Adopting(bird, first if bird is not first else back) for bird in flock.birds]
    tries = []

    async def watch(bird, source) -> None:
        await CatchingUp(bird.swarm.behind, bird.swarm.resting, source, source).run()

    async def leave_and_come_back() -> None:
        await trio.sleep(20)
        kept, at = list(back.learner.values), back.learner.outer_step
        back.swarm.resting.begin(PAUSED)
        await trio.sleep(AWAY)
        assert sources[-1].told == []
        # The toy has trained on: what it had is put back, as a trainer that makes no steps keeps it.
        back.learner.values[:], back.learner.outer_step = kept, at
        back.swarm.behind.stepped(at)
        back.swarm.behind.stood_still()
        back.swarm.resting.end(PAUSED)
        tries.append(len(back.record.outcomes))

    await fly(
        flock,
        20 + AWAY + BACK,
        leave_and_come_back,
        *[
            lambda bird=bird, source=source: watch(bird, source)
            for bird, source in zip(flock.birds, sources, strict=True)
        ],
    )
    outcomes = [outcome.result for outcome in back.record.outcomes[tries[0] :]]
    refused = outcomes.index("done")
    assert outcomes[:refused] == ["refused"] * refused
    assert 2 <= refused <= 4
    assert outcomes.count("done") > 10
    (behind, lead), (caught_up, _) = sources[-1].told
    assert (behind, caught_up) == ("behind", "caught up")
    assert lead == pytest.approx(AWAY / options["seconds"], rel=0.2)
    assert [source.told for source in sources[:-1]] == [[]] * others, "who stayed keeps its work"
    assert abs(back.learner.value - first.learner.value) < 1
    assert_both_or_neither(flock.birds)
