"""What goes to sinks, when, and what becomes of one that fails."""

import io
from types import SimpleNamespace
from typing import cast

import msgspec
import pytest
import trio

from peer.daemon import recorder as module
from peer.daemon.node import Node
from peer.daemon.recorder import LEAST, Recorder, check_extras, pause
from peer.daemon.reporter import Reporter
from peer.daemon.settings import Settings
from peer.errors import Exit, ExtraMissingError
from peer.simulate.flock import Flock
from peer.telemetry.event_file import EventFile, read_events
from peer.telemetry.events import SinkFailed
from peer.telemetry.log import Log
from peer.telemetry.sinks.sink import SinkStatistics
from protocol.manifest import Manifest
from tests.peer.daemon.fake_trainer import PROGRESS
from tests.peer.daemon.test_reporter import DONE


@pytest.fixture
def anyio_backend():
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


class FakeSink:
    """Keeps what it is given; fails once it is told to."""

    name = "Fake"

    def __init__(self):
        self.points, self.failure, self.closed = [], None, False

    def put(self, step, values):
        self.points.append((step, values))

    def statistics(self):
        return SinkStatistics(len(self.points), 0, self.failure)

    def close(self, patience):
        self.closed = True
        return True


@pytest.fixture
async def node(tmp_path):
    flock = Flock(tmp_path, lambda founder: Manifest(founder=founder))
    with EventFile(tmp_path / "events.log") as file:
        log = Log(file, io.StringIO(), "text")
        yield SimpleNamespace(reporter=Reporter(log), swarm=flock.hatch().swarm, log=log)


def _recorder(node, *sinks):
    return Recorder(cast("Node", node), sinks, node.log)


def _train(node, step, loss=2.5):
    node.reporter.heard(msgspec.structs.replace(PROGRESS, inner_step=step, loss=loss))


@pytest.mark.anyio
async def test_the_numbers_of_a_moment_reach_every_sink(node):
    sinks = FakeSink(), FakeSink()
    recorder = _recorder(node, *sinks)
    recorder.record()
    assert sinks[0].points == [], "nothing trains yet"
    _train(node, 20, 3.0)
    _train(node, 30, 2.0)
    node.reporter.exchange_ended(DONE)
    recorder.record()
    recorder.record()
    for sink in sinks:
        ((step, point),) = sink.points
        assert step == 30
        assert point["loss"] == pytest.approx((20 * 3.0 + 10 * 2.0) / 30), "the mean of all steps since"
        assert (point["relative_distance"], point["learning_rate"], point["peers_in_view"]) == (0.1, 0.004, 0)


@pytest.mark.anyio
async def test_it_records_while_it_runs(node):
    sink = FakeSink()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_recorder(node, sink).run)
        await trio.sleep(LEAST / 2)
        for step in (10, 20, 30):
            _train(node, step)
            await trio.sleep(LEAST)
        nursery.cancel_scope.cancel()
    assert [step for step, _ in sink.points] == [10, 20, 30]


@pytest.mark.parametrize(("seconds", "points"), [(1000, 1000), (10_000, 3300), (86_400, 5100)])
def test_a_long_run_is_recorded_ever_more_seldom(seconds, points):
    elapsed = count = 0
    while elapsed < seconds:
        elapsed += pause(elapsed)
        count += 1
    assert count == pytest.approx(points, rel=0.1)


@pytest.mark.anyio
async def test_a_sink_that_fails_is_told_of_once_and_the_others_go_on(node, tmp_path):
    broken, other = FakeSink(), FakeSink()
    recorder = _recorder(node, broken, other)
    broken.failure = "OSError: no space"
    for step in (10, 20, 30):
        _train(node, step)
        recorder.record()
    told = [event for event in read_events(tmp_path / "events.log") if isinstance(event, SinkFailed)]
    assert [(event.sink, event.reason) for event in told] == [("Fake", "OSError: no space")]
    assert len(broken.points) == 1
    assert len(other.points) == 3


@pytest.mark.anyio
async def test_at_the_end_the_last_point_is_written_and_sinks_are_closed(node):
    sink = FakeSink()
    _train(node, 10)
    await _recorder(node, sink).finish()
    assert [step for step, _ in sink.points] == [10]
    assert sink.closed


@pytest.mark.parametrize("package", ["tensorboard", "wandb"])
def test_an_extra_that_is_missing_is_said_before_anything_starts(tmp_path, package, monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    settings = Settings(home=tmp_path, **{package: "x"})
    with pytest.raises(ExtraMissingError, match=rf"--{package} needs the extra `{package}`") as caught:
        check_extras(settings)
    assert caught.value.code == Exit.EXTRA_MISSING
    check_extras(Settings(home=tmp_path))
