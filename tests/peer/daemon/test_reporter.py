"""What happens becomes events: read back from a real log."""

import io
import json
from pathlib import Path

import pytest
import trio
from msgspec.structs import replace

from peer.daemon.reporter import Reporter
from peer.swarm.exchange import Outcome
from peer.telemetry.event_file import EventFile, read_events
from peer.telemetry.log import Log
from protocol import trainer as ipc
from protocol.fetching import Fetched
from tests.peer.daemon.fake_trainer import FINISHED, PROGRESS

READY = ipc.Ready(device="cpu", parameters=1000, inner_step=7, outer_step=1, tokens=70, resumed=True)
FITTED = ipc.Fitted(micro_batch=4, batch=8, how="found")
SHARE = ipc.Share(
    share=3,
    fragment=1,
    outer_step=2,
    inner_step=40,
    tokens=64,
    standing=64,
    fresh=True,
    mixed=0,
    codec="int8",
    body=ipc.Blob(file="share", size=8, sha256=bytes(32)),
    bounds=None,
    reference=None,
)
MIXED = ipc.Mixed(share=3, accepted=True, reason="", distance=0.5, relative_distance=0.1, late_by=2)
DONE = Outcome(
    partner="12D3",
    initiated=True,
    outer_step=2,
    result="done",
    reason="",
    seconds=1.5,
    bytes_in=100,
    bytes_out=200,
    mixed=MIXED,
)


@pytest.fixture
def anyio_backend():
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


@pytest.fixture
def events(tmp_path):
    """What the log holds, without the times."""

    def events():
        told = [json.loads(line) for line in (tmp_path / "events.log").read_text().splitlines()]
        assert len(list(read_events(tmp_path / "events.log"))) == len(told)
        return [{name: value for name, value in each.items() if name != "time"} for each in told]

    return events


@pytest.fixture
def reporter(tmp_path):
    with EventFile(tmp_path / "events.log") as file:
        yield Reporter(Log(file, io.StringIO(), "text"))


def test_an_exchange_is_told_and_measured(reporter, events):
    reporter.exchange_ended(DONE)
    (told,) = events()
    assert told == {
        "event": "exchange_done",
        "partner": "12D3",
        "seconds": 1.5,
        "bytes_in": 100,
        "bytes_out": 200,
        "distance": 0.5,
        "relative_distance": 0.1,
        "outer_step": 2,
        "initiated": True,
        "fragment": 0,
        "late_by": 2,
        "choice": "",
    }
    assert reporter.exchange_seconds.statistics().total == 1.5
    assert reporter.last_mix == MIXED


def test_a_share_that_was_refused_is_told_apart_from_an_exchange_that_failed(reporter, events):
    refused = replace(MIXED, accepted=False, reason="it is not finite")
    reporter.exchange_ended(_outcome("refused", "it is not finite", refused))
    reporter.exchange_ended(_outcome("failed", "our trainer has ended", None))
    assert [(told["event"], told["reason"]) for told in events()] == [
        ("mix_refused", "it is not finite"),
        ("exchange_failed", "our trainer has ended"),
    ]
    assert reporter.exchange_seconds.statistics().total == 0
    assert reporter.last_mix == refused


def _outcome(result, reason, mixed):
    return Outcome(
        partner="12D3",
        initiated=False,
        outer_step=2,
        result=result,
        reason=reason,
        seconds=9.0,
        bytes_in=0,
        bytes_out=0,
        mixed=mixed,
    )


def test_what_the_swarm_notices_is_told(reporter, events):
    reporter.skipped(4, "nobody else is here")
    reporter.peer_changed("12D3", "seen")
    reporter.peer_changed("12D3", "goodbye")
    reporter.manifest_refused("12D4", ["inner.batch: 4 here, 8 there"])
    reporter.state_served("12D5", 80)
    assert events() == [
        {"event": "skipped", "outer_step": 4, "reason": "nobody else is here"},
        {"event": "peer_seen", "peer": "12D3"},
        {"event": "peer_gone", "peer": "12D3", "reason": "goodbye"},
        {"event": "manifest_refused", "peer": "12D4", "fields": ["inner.batch: 4 here, 8 there"]},
        {"event": "state_served", "peer": "12D5", "size": 80},
    ]


@pytest.mark.anyio
async def test_being_alone_is_said_once_and_its_end_with_how_long_it_was(reporter, events):
    await trio.sleep(100)
    for _ in range(5):
        reporter.alone(seconds=0.0, patience=15.0)
        reporter.alone(seconds=14.0, patience=15.0)
    assert events() == []
    for seconds in (16.0, 26.0, 36.0):
        reporter.alone(seconds=seconds, patience=15.0)
        await trio.sleep(10)
    reporter.alone(seconds=0.0, patience=15.0)
    reporter.alone(seconds=0.0, patience=15.0)
    alone, over = events()
    assert alone == {"event": "alone"}
    assert over == {"event": "no_longer_alone", "seconds": pytest.approx(46)}


def test_what_the_trainer_says_is_told_and_kept(reporter, events):
    assert (reporter.inner_step, reporter.outer_step, reporter.tokens) == (0, 0, 0)
    reporter.heard(READY)
    assert (reporter.inner_step, reporter.outer_step, reporter.tokens) == (7, 1, 70)
    reporter.heard(FITTED)
    assert reporter.fitted == FITTED
    reporter.heard(PROGRESS)
    assert (reporter.inner_step, reporter.outer_step, reporter.tokens) == (20, 1, 640)
    reporter.heard(SHARE)
    reporter.heard(replace(SHARE, fresh=False, mixed=1))
    reporter.heard(ipc.Checkpointed(inner_step=20, path="/home/step-20", seconds=0.5))
    reporter.heard(MIXED)
    reporter.heard(FINISHED)
    assert events() == [
        {
            "event": "trainer_started",
            "device": "cpu",
            "parameters": 1000,
            "inner_step": 7,
            "resumed": True,
            "name": "",
            "memory": None,
            "ranks": 1,
            "unused": "",
        },
        {"event": "batch_fitted", "micro_batch": 4, "batch": 8, "how": "found"},
        {
            "event": "share_ready",
            "outer_step": 2,
            "inner_step": 40,
            "codec": "int8",
            "size": 8,
            "fragment": 1,
            "loss": 2.5,
        },
        {"event": "checkpointed", "inner_step": 20, "path": "/home/step-20", "seconds": 0.5},
    ]
    assert reporter.codec == "int8"


def test_a_dead_trainer_is_forgotten_but_for_where_it_stood(reporter, events):
    reporter.heard(READY)
    reporter.heard(FITTED)
    reporter.heard(PROGRESS)
    reporter.trainer_died(-9, 1, "Killed", Path("/h/trainer.log"))
    assert events()[-1] == {
        "event": "trainer_died",
        "code": -9,
        "restarts": 1,
        "said": "Killed",
        "log": "/h/trainer.log",
    }
    assert (reporter.ready, reporter.fitted, reporter.progress) == (None, None, None)
    assert (reporter.inner_step, reporter.tokens) == (20, 640)
    reporter.heard(READY)
    assert (reporter.inner_step, reporter.tokens) == (7, 70)


def test_the_loss_of_a_trainer_that_has_just_begun_is_that_of_before(reporter):
    assert reporter.loss is None
    reporter.heard(READY)
    reporter.heard(PROGRESS)
    assert reporter.loss == PROGRESS.loss
    reporter.trainer_died(1, 0, "", Path("trainer.log"))
    assert reporter.loss == PROGRESS.loss


def test_what_the_trainer_fetches_adds_up_over_its_lives(reporter):
    reporter.heard(Fetched(size=1000))
    reporter.trainer_died(1, 0, "", Path("trainer.log"))
    reporter.heard(Fetched(size=24))
    assert reporter.fetched == 1024
