"""A trainer whose data do not come: it says so, answers meanwhile, and goes on."""

import threading
import time
from types import SimpleNamespace

import pytest
import torch

from peer.trainer import starving
from peer.trainer.replica import Replica
from protocol.trainer import (
    Capture,
    Captured,
    Finish,
    Finished,
    NoMix,
    Pause,
    Paused,
    Resume,
    Share,
    Waiting,
)
from tests.peer.trainer.looping import said, trainers
from tests.peer.trainer.tiny import manifest, replica, train


@pytest.fixture
def start(tmp_path):
    with trainers(tmp_path) as make:
        yield make


@pytest.fixture
def hungry(monkeypatch):
    """The data for the inner step after the fourth does not come until this is set."""
    fed = threading.Event()

    def lacks(replica):
        return "the Hub sleeps" if replica.counters.inner_step == 4 and not fed.is_set() else None

    monkeypatch.setattr(Replica, "lacks", property(lacks))
    monkeypatch.setattr(starving, "SHORT_WAIT", 0.0)
    yield fed
    fed.set()


def test_without_data_it_waits_says_so_and_answers(start, hungry):
    run = manifest(every=4)
    trainer = start(run, stop_at=6)
    assert trainer.daemon.hear_a(Waiting) == Waiting(reason="the Hub sleeps", inner_step=4)
    (share,) = said(trainer.daemon.heard, Share) or [trainer.daemon.hear_a(Share)]
    trainer.daemon.send(NoMix(share=share.share), Capture())
    assert trainer.daemon.hear_a(Captured).state is not None
    hungry.set()
    assert trainer.daemon.hear_a(Waiting).reason is None
    assert trainer.daemon.hear_out()[-1] == Finished(inner_step=6, reached_stop=True)
    alone = replica(run)
    train(alone, 6)
    assert torch.equal(trainer.replica.theta, alone.theta)


def test_who_waits_for_data_may_be_paused_and_finished(start, hungry):
    trainer = start(manifest("solo"))
    trainer.daemon.hear_a(Waiting)
    trainer.daemon.send(Pause())
    assert trainer.daemon.hear_a(Paused).inner_step == 4
    trainer.daemon.send(Resume())
    assert trainer.daemon.hear_a(Waiting).reason == "the Hub sleeps"
    trainer.daemon.send(Finish())
    assert trainer.daemon.hear_out()[-1] == Finished(inner_step=4, reached_stop=False)


@pytest.mark.parametrize(("pace", "standing"), [(1.0, 64), (0.1, 0)], ids=["2.5", "25"])
def test_who_waited_for_many_outer_steps_comes_back_as_a_newcomer(start, hungry, monkeypatch, pace, standing):
    """A few are no more than a slow host takes; it would else take its partners' weights after each wait."""
    earlier = SimpleNamespace(monotonic=lambda: time.monotonic() - 10.0)
    monkeypatch.setattr(starving, "time", earlier)
    trainer = start(manifest(every=4), stop_at=8)
    trainer.daemon.hear_a(Waiting)
    trainer.meter.pace = pace
    hungry.set()
    while len(shares := said(trainer.daemon.heard, Share)) < 2:
        trainer.daemon.hear()
    trainer.daemon.send(*(NoMix(share=share.share) for share in shares))
    assert [share.standing for share in shares] == [64, standing]
