"""A newcomer's way in, over memory links: into the home, to the trainer's spool, and gone once it trains."""

import io
from types import SimpleNamespace

import pytest
import trio

from peer.daemon.joining import LENT, TELL_EVERY, Joining
from peer.simulate.flock import Flock
from peer.simulate.network import Link
from peer.swarm.behind import FAR
from peer.swarm.guests import Guests
from peer.telemetry.event_file import EventFile, read_events
from peer.telemetry.log import Log
from protocol import sizes
from tests.peer.swarm.newcomers import content, flying, give, small

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


class _Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
async def guest(tmp_path):
    """Return a flock of a donor and a newcomer, the newcomer's `Joining`, and its terminal."""
    flock = Flock(tmp_path, small)
    donor = flock.hatch(outer_steps=2)
    bird = flock.hatch(through=(donor,), outer_steps=2)
    terminal = _Terminal()
    with EventFile(tmp_path / "events.log") as file:
        home, runtime = SimpleNamespace(path=tmp_path), SimpleNamespace(spool=bird.learner.spool)
        run = bird.swarm._run
        joining = Joining(run, bird.transport, bird.swarm, home, runtime, Log(file, terminal, "text"))
        yield flock, joining, terminal


def _told(tmp_path):
    return [type(event).__name__ for event in read_events(tmp_path / "events.log")]


async def test_the_state_comes_with_a_bar_and_goes_to_the_trainer(tmp_path, guest):
    flock, joining, terminal = guest
    donor, bird = flock.birds
    size = sizes.state_bytes(bird.swarm._run.manifest)
    flock.network.uplinks[donor.identity.peer_id] = Link(rate=size / (TELL_EVERY + 5))

    async def use() -> None:
        state = give(donor, content(size, 0), outer_step=70)
        assert joining.status() is None
        async with trio.open_nursery() as nursery:
            fetched = []

            async def fetch() -> None:
                fetched.append(await joining.join())

            nursery.start_soon(fetch)
            await trio.sleep(TELL_EVERY / 2)
            told = joining.status()
            assert told.size == size
            assert 0.2 < told.received / size < 0.6
            assert told.donors == 1
        assert joining.status() is None
        (state_,) = fetched
        assert (state_.file, state_.outer_step) == (LENT, 70)
        assert (bird.learner.spool / LENT).read_bytes() == state

    await flying(flock, use)
    assert _told(tmp_path) == ["StateComing", "StateFetched"]
    shown = terminal.getvalue()
    assert "fetching the state ####" in shown
    assert shown.endswith("\n"), "the bar is gone"
    joining.done()
    assert not (tmp_path / "joining").exists()


async def test_a_state_that_the_trainer_refuses_is_told_and_fetched_again(tmp_path, guest):
    flock, joining, _ = guest
    donor, bird = flock.birds
    size = sizes.state_bytes(bird.swarm._run.manifest)

    async def use() -> None:
        give(donor, content(size, 0), outer_step=70)
        assert await joining.join() is not None
        joining.refused("the loss is nan")
        assert bird.swarm.view.avoided(donor.identity.peer_id)
        good = give(donor, content(size, 1), outer_step=70)
        donor.swarm._donor._latest = None
        donor.swarm._donor._guests = Guests()
        assert await joining.join() is not None
        assert (bird.learner.spool / LENT).read_bytes() == good

    await flying(flock, use)
    assert _told(tmp_path) == ["StateFetched", "StateRefused", "StateFetched"]


async def test_after_a_refusal_it_asks_one_donor_at_a_time_until_a_state_is_taken(guest):
    _, joining, _ = guest
    first = joining._newcomer
    joining.done()
    assert joining._newcomer is not first
    suspicious = joining._newcomer
    joining.refused("it does worse")
    joining.done()
    assert joining._newcomer is suspicious
    assert suspicious._most_donors == 1
    joining.taken()
    assert joining._newcomer is not suspicious


async def test_who_was_left_behind_fetches_anew_and_only_what_is_further(tmp_path, guest):
    flock, joining, _ = guest
    donor, bird = flock.birds
    size = sizes.state_bytes(bird.swarm._run.manifest)

    async def use() -> None:
        bird.swarm.behind.stepped(100)
        give(donor, content(size, 0), outer_step=100 + FAR)
        assert not await joining.fetch(), "two states so near are mixed, and none is fetched"
        for outer_step in (300, 600):
            donor.swarm._donor._latest = None
            donor.swarm._donor._guests = Guests()
            state = give(donor, content(size, outer_step), outer_step=outer_step)
            assert await joining.fetch()
            assert joining.lend().outer_step == outer_step
            assert (bird.learner.spool / LENT).read_bytes() == state
            joining.done()
        assert not (tmp_path / "joining").exists()

    await flying(flock, use)
    assert _told(tmp_path).count("StateFetched") == 2


async def test_nobody_with_a_state_is_told(tmp_path, guest):
    flock, joining, _ = guest
    flock.birds[0].learner.dead = True

    async def use() -> None:
        assert await joining.join() is None

    await flying(flock, use)
    assert _told(tmp_path)[-1] == "NoDonor"
