"""Who may pause a peer, what outlives what, and what the trainer, the partners and the log are told."""

import io
from types import SimpleNamespace

import pytest
import trio
import trio.testing

from peer.daemon.home import Home
from peer.daemon.pausing import BY_HAND, LONG_WAIT, Pausing
from peer.daemon.settings import Remembered, recall, remember
from peer.simulate.flock import Flock
from peer.swarm.learner import LearnerGoneError
from peer.swarm.resting import STARVED
from peer.telemetry.event_file import EventFile
from peer.telemetry.log import Log
from protocol import trainer as ipc
from protocol.control import Pause
from protocol.manifest import Manifest

pytestmark = pytest.mark.anyio

BLENDER = Pause(kind="gpu", reason="GPU 0 is used by blender (pid 4242)", since=1.0)
READY = ipc.Ready(device="cpu", parameters=1, inner_step=0, outer_step=0, tokens=0, resumed=False)


class Trainer:
    """The link to a trainer that has begun, or not."""

    def __init__(self) -> None:
        self.begun = True
        self.told: list[ipc.ToTrainer] = []

    async def tell(self, message):
        if not self.begun:
            raise LearnerGoneError
        self.told.append(message)


class Paused:
    """A `Pausing` over a real home, a real swarm's pairing, and a trainer that notes what it is told."""

    def __init__(self, home, swarm, stream):
        self.trainer, self.swarm, self._stream = Trainer(), swarm, stream
        self.file = EventFile(home.path / "events.log")
        self.pausing = Pausing(home, self.trainer, swarm, Log(self.file, stream, "text"))

    @property
    def said(self) -> list[str]:
        return [line[9:] for line in self._stream.getvalue().splitlines()]


@pytest.fixture
async def make(tmp_path):
    made = []
    flock = Flock(tmp_path, lambda founder: Manifest(founder=founder))
    with Home.open(tmp_path / "home") as home:

        def one():
            made.append(Paused(home, flock.hatch().swarm, io.StringIO()))
            return made[-1]

        yield one
    for each in made:
        each.file.close()


async def _settle(*pausings):
    """Let every `run` say what it has to say."""
    async with trio.open_nursery() as nursery:
        for each in pausings:
            nursery.start_soon(each.run)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()


async def test_a_trainer_is_told_once_and_the_log_when_it_has_stopped(make):
    one = make()
    one.pausing.by_hand("rendering")
    await _settle(one.pausing)
    await _settle(one.pausing)
    assert one.trainer.told == [ipc.Pause()]
    assert one.said == []
    one.pausing.heard(ipc.Paused(inner_step=7))
    one.pausing.resume()
    await _settle(one.pausing)
    assert one.trainer.told == [ipc.Pause(), ipc.Resume()]
    assert one.said[0] == "paused: rendering (at step 7)"
    assert one.said[1].endswith("the pause was: rendering")
    assert one.pausing.now is None


async def test_a_pause_that_is_over_before_the_trainer_has_stopped_is_not_told_of(make):
    one = make()
    one.pausing.by_hand("")
    one.pausing.resume()
    await _settle(one.pausing)
    assert (one.trainer.told, one.said) == ([], [])


async def test_by_hand_outlives_the_daemon_and_the_governors_pause_does_not(make):
    one = make()
    one.pausing.govern((BLENDER,))
    again = make()
    assert again.pausing.now is None
    one.pausing.by_hand("")
    again = make()
    assert again.pausing.now is not None
    assert (again.pausing.now.kind, again.pausing.now.reason) == ("hand", BY_HAND)
    assert again.swarm.pairing.resting
    again.pausing.resume()
    assert make().pausing.now is None


async def test_what_else_the_home_remembers_stays(make, tmp_path):
    remember(tmp_path / "home", Remembered(port=4001))
    one = make()
    one.pausing.by_hand("x")
    one.pausing.resume()
    assert recall(tmp_path / "home") == Remembered(port=4001)


async def test_either_is_enough_and_the_persons_word_comes_first(make):
    one = make()
    one.pausing.govern((BLENDER,))
    one.pausing.heard(ipc.Paused(inner_step=3))
    one.pausing.by_hand("mine")
    assert one.pausing.now is not None
    assert one.pausing.now.reason == "mine"
    one.pausing.resume()
    assert one.pausing.now == BLENDER
    assert one.swarm.pairing.resting
    one.pausing.govern(())
    assert not one.swarm.pairing.resting
    assert [line.split(" (")[0] for line in one.said[:3]] == [
        "paused: GPU 0 is used by blender", "paused: mine", "paused: GPU 0 is used by blender"
    ]  # fmt: skip
    assert one.said[3].startswith("resumed after ")
    assert len(one.said) == 4
    assert one.pausing.statistics().count == 1


async def test_each_of_the_governors_reasons_is_held_and_the_first_is_told(make):
    one = make()
    battery = Pause(kind="battery", reason="on battery", since=2.0)
    one.pausing.govern((BLENDER, battery))
    one.pausing.heard(ipc.Paused(inner_step=3))
    assert one.pausing.all == (BLENDER, battery)
    assert one.pausing.statistics().kinds == ("gpu", "battery")
    one.pausing.by_hand("mine")
    assert one.pausing.statistics().kinds == ("hand", "gpu", "battery")
    one.pausing.resume()
    one.pausing.govern((battery,))
    assert one.swarm.pairing.resting
    one.pausing.govern(())
    assert [line.split(" (at")[0] for line in one.said[:4]] == [
        f"paused: {BLENDER.reason}", "paused: mine", f"paused: {BLENDER.reason}", "paused: on battery"
    ]  # fmt: skip
    assert one.pausing.all == ()


async def test_a_trainer_that_waits_for_data_pauses_the_peer_and_is_not_told_to(make):
    one = make()
    one.pausing.heard(ipc.Waiting(reason="the Hub sleeps; tried 1 time"))
    one.pausing.heard(READY)
    assert not one.swarm.pairing.resting
    one.pausing.heard(ipc.Waiting(reason="the Hub sleeps; tried 1 time", inner_step=7))
    one.pausing.heard(ipc.Waiting(reason="the Hub sleeps; tried 2 times", inner_step=7))
    await _settle(one.pausing)
    assert one.swarm.pairing.resting
    assert one.pausing.statistics().kinds == ("stream",)
    with trio.fail_after(1):
        await one.pausing.wait_over()  # a trainer that dies of it may begin anew
    one.pausing.heard(ipc.Waiting(reason=None))
    await _settle(one.pausing)
    assert (one.trainer.told, one.pausing.now, one.swarm.pairing.resting) == ([], None, "")
    waits = "paused: waiting for data: the Hub sleeps; tried"
    assert one.said[0] == f"{waits} 1 time (before the trainer began)"
    assert one.said[1].startswith("resumed after ")
    assert one.said[2:4] == [f"{waits} 1 time (at step 7)", f"{waits} 2 times (at step 7)"]
    assert one.said[4].startswith("resumed after ")


@pytest.mark.parametrize(("seconds", "away"), [(LONG_WAIT - 1, False), (LONG_WAIT, True)])
async def test_only_a_long_wait_for_data_is_an_absence(make, monkeypatch, seconds, away):
    one, now = make(), [1000.0]
    monkeypatch.setattr("peer.daemon.pausing.time", SimpleNamespace(time=lambda: now[0]))
    one.pausing.heard(ipc.Waiting(reason="the Hub sleeps", inner_step=7))
    assert one.swarm.resting.reasons == (STARVED,), "it ends no attempt to catch up"
    now[0] += seconds
    one.pausing.heard(ipc.Waiting(reason=None))
    assert one.swarm.behind.away == away
    one.pausing.by_hand("mine")
    one.pausing.resume()
    assert one.swarm.behind.away


async def test_a_person_may_pause_a_peer_that_waits_for_data(make):
    one = make()
    one.pausing.heard(ipc.Waiting(reason="the Hub sleeps", inner_step=7))
    one.pausing.by_hand("mine")
    await _settle(one.pausing)
    assert one.trainer.told == [ipc.Pause()]
    assert one.pausing.now is not None
    assert one.pausing.now.reason == "mine"
    one.pausing.heard(ipc.Waiting(reason=None))
    one.pausing.resume()
    assert one.pausing.now is None


async def test_a_trainer_that_has_yet_to_begin_waits_and_says_why(make):
    one = make()
    one.trainer.begun = False
    one.pausing.govern((BLENDER,))
    begun = []

    async def begin():
        await one.pausing.wait_over()
        begun.append(True)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(begin)
        nursery.start_soon(one.pausing.run)
        await trio.testing.wait_all_tasks_blocked()
        assert (begun, one.trainer.told) == ([], [])
        assert one.said == [f"paused: {BLENDER.reason} (before the trainer began)"]
        one.pausing.govern(())
        await trio.testing.wait_all_tasks_blocked()
        assert begun == [True]
        # Paused again before the trainer can be told: it is once it has begun.
        one.pausing.govern((BLENDER,))
        await trio.testing.wait_all_tasks_blocked()
        one.trainer.begun = True
        one.pausing.heard(READY)
        await trio.testing.wait_all_tasks_blocked()
        assert one.trainer.told == [ipc.Pause()]
        nursery.cancel_scope.cancel()


async def test_the_next_trainer_is_told_too(make):
    one = make()
    one.pausing.by_hand("")
    await _settle(one.pausing)
    one.pausing.heard(READY)
    await _settle(one.pausing)
    assert one.trainer.told == [ipc.Pause(), ipc.Pause()]


async def test_time_paused_is_counted(make):
    one = make()
    one.pausing.govern((BLENDER,))
    clock = trio.lowlevel.current_clock()
    clock.jump(5)
    assert one.pausing.statistics().seconds == 5
    one.pausing.govern(())
    clock.jump(5)
    assert one.pausing.statistics().seconds == 5


async def test_a_disk_that_refuses_costs_the_memory_of_a_pause_and_no_more(make, tmp_path):
    one = make()
    (tmp_path / "home" / "settings.json").mkdir()
    one.pausing.by_hand("x")
    assert one.pausing.now is not None


@pytest.fixture
def anyio_backend():
    return "trio", {"clock": trio.testing.MockClock()}
