"""The loop in a thread of this process: what it says, in which order, and what it waits for."""

import errno
import shutil
import threading

import pytest
import torch

from peer.trainer import checkpoint, checkpoints, spool
from peer.trainer.pairs import Pairs
from peer.trainer.shelf import Shelf
from protocol.trainer import (
    Capture,
    Captured,
    Checkpointed,
    CheckpointFailed,
    Encode,
    Encoded,
    Finish,
    Finished,
    Mixed,
    NoMix,
    Open,
    Opened,
    Pause,
    Paused,
    Progress,
    Resume,
    Save,
    Share,
    ShareFailed,
    Theirs,
)
from tests.peer.trainer.looping import said, trainers
from tests.peer.trainer.tiny import manifest, replica, run_id, train
from tests.states import hash_chunks


@pytest.fixture
def start(tmp_path):
    with trainers(tmp_path) as make:
        yield make


def test_solo_trains_to_its_end_as_if_nobody_listened(start):
    trainer = start(manifest("solo"), stop_at=9)
    heard = trainer.daemon.hear_out()
    assert heard[-1] == Finished(inner_step=9, reached_stop=True)
    assert isinstance(heard[-2], Checkpointed)
    assert said(heard, Share) == []
    progress = said(heard, Progress)
    assert progress[-1].inner_step == 9
    assert progress[-1].tokens == 9 * 64
    assert all(message.tokens_per_second > 0 and 0 < message.loss < 7 for message in progress)
    alone = replica(manifest("solo"))
    train(alone, 9)
    assert torch.equal(trainer.replica.theta, alone.theta)


def test_overlap_trains_on_and_the_end_waits_for_every_mix(start):
    trainer = start(manifest(every=4, mixes=1), stop_at=8)
    first = trainer.daemon.hear_a(Share)
    second = trainer.daemon.hear_a(Share)
    assert (first.inner_step, second.inner_step) == (4, 8)
    trainer.daemon.send(trainer.theirs(first, trainer.own(first) + 1e-3))
    assert trainer.daemon.hear_a(Mixed).accepted
    trainer.daemon.send(trainer.theirs(second, trainer.own(second) + 1e-3))
    assert trainer.daemon.hear_a(Mixed).distance == pytest.approx(1e-3, rel=1e-2)
    heard = trainer.daemon.hear_out()
    assert heard[-1] == Finished(inner_step=8, reached_stop=True)
    alone = replica(manifest(every=4))
    train(alone, 4)
    saved = checkpoint.newest(trainer.home, run_id(manifest(every=4, mixes=1)))
    assert saved is not None
    assert saved.counters.outer_step == 2


def test_a_mix_that_never_comes_is_a_skip(start):
    trainer = start(manifest(every=4), stop_at=6)
    share = trainer.daemon.hear_a(Share)
    trainer.daemon.send(NoMix(share=share.share))
    assert trainer.daemon.hear_out()[-1] == Finished(inner_step=6, reached_stop=True)
    alone = replica(manifest(every=4))
    train(alone, 6)
    assert torch.equal(trainer.replica.theta, alone.theta)


def test_the_strict_form_waits_at_the_boundary(start):
    trainer = start(manifest(every=4, overlap=False, mixes=1), stop_at=12)
    first = trainer.daemon.hear_a(Share)
    trainer.daemon.send(Capture())
    captured = trainer.daemon.hear_a(Captured)
    assert captured.state.inner_step == first.inner_step == 4
    data = (trainer.spool / captured.state.file).read_bytes()
    assert (captured.size, captured.hashes) == (len(data), hash_chunks(data))
    assert trainer.replica.counters.inner_step == 4
    trainer.daemon.send(trainer.theirs(first, trainer.own(first) + 1e-3))
    mixed = trainer.daemon.hear_a(Mixed)
    assert (mixed.accepted, mixed.late_by) == (True, 0)
    for _ in range(2):
        trainer.daemon.send(NoMix(share=trainer.daemon.hear_a(Share).share))
    assert trainer.daemon.hear_out()[-1] == Finished(inner_step=12, reached_stop=True)


def test_a_second_mix_is_offered_after_the_first(start):
    trainer = start(manifest(every=4, mixes=2, overlap=False), stop_at=8)
    fresh = trainer.daemon.hear_a(Share)
    trainer.daemon.send(trainer.theirs(fresh, trainer.own(fresh) + 1e-3))
    refreshed = trainer.daemon.hear_a(Share)
    assert (refreshed.fresh, refreshed.outer_step) == (False, fresh.outer_step)
    trainer.daemon.send(trainer.theirs(refreshed, trainer.own(refreshed) + 1e-3))
    trainer.daemon.send(NoMix(share=trainer.daemon.hear_a(Share).share))
    trainer.daemon.hear_out()
    assert [mixed.share for mixed in said(trainer.daemon.heard, Mixed)] == [fresh.share, refreshed.share]


def test_hostile_shares_are_answered_and_training_goes_on(start):
    trainer = start(manifest(every=4, mixes=1), stop_at=8)
    share = trainer.daemon.hear_a(Share)
    own = trainer.own(share)
    for name, content in {
        "nan": (own * float("nan")).numpy().tobytes(),
        "short": b"\0" * 17,
        "empty": b"",
        "far": (own * 50).numpy().tobytes(),
    }.items():
        (trainer.spool / name).write_bytes(content)
        trainer.daemon.send(Theirs(share=share.share, file=name, codec="fp32", tokens=0, standing=64))
        mixed = trainer.daemon.hear_a(Mixed)
        assert (mixed.accepted, mixed.share) == (False, share.share)
        assert mixed.reason
        assert not (trainer.spool / name).exists()
    shares = said(trainer.daemon.heard, Share)
    second = shares[1] if len(shares) > 1 else trainer.daemon.hear_a(Share)
    for number in (share.share, second.share):
        trainer.daemon.send(NoMix(share=number))
    trainer.daemon.hear_out()
    alone = replica(manifest(every=4))
    train(alone, 8)
    assert torch.equal(trainer.replica.theta, alone.theta)


def test_fragments_share_at_offsets_of_their_own_and_all_are_waited_for(start):
    run = manifest("streaming-gossip", every=4, mixes=1)
    trainer = start(run, stop_at=8)
    shares = [trainer.daemon.hear_a(Share) for _ in range(4)]
    assert [(share.inner_step, share.fragment, share.outer_step) for share in shares] == [
        (2, 0, 1),
        (4, 1, 2),
        (6, 0, 3),
        (8, 1, 4),
    ]
    for share in (shares[3], shares[2]):
        trainer.daemon.send(NoMix(share=share.share))
    heard = trainer.daemon.hear_out()
    assert heard[-1] == Finished(inner_step=8, reached_stop=True)
    assert said(heard, Progress)[-1].outer_step == 4
    alone = replica(run)
    train(alone, 8)
    assert torch.equal(trainer.replica.theta, alone.theta)


def test_a_capture_between_fragments_stands_for_the_last_boundary_of_any(start):
    run = manifest("streaming-gossip", every=4, overlap=False, mixes=1)
    trainer = start(run, stop_at=7)
    for inner_step in (2, 4, 6):
        share = trainer.daemon.hear_a(Share)
        trainer.daemon.send(Capture())
        captured = trainer.daemon.hear_a(Captured)
        assert captured.state.inner_step == share.inner_step == inner_step
        assert captured.state.outer_step == share.outer_step
        trainer.daemon.send(NoMix(share=share.share))
    trainer.daemon.hear_out()
    newcomer = replica(run, shard=1)
    newcomer.adopt(captured.state, trainer.spool / captured.state.file)
    assert newcomer.counters.inner_step == 6


def test_a_blend_lands_at_the_end_though_nobody_says_how_its_exchange_went(start):
    run = manifest(every=4, landing="blend")
    trainer = start(run)
    trainer.daemon.hear_a(Share)
    trainer.daemon.send(Finish())
    trainer.daemon.hear_out()
    saved = checkpoint.newest(trainer.home, run_id(run))
    assert saved is not None
    assert saved.state["outer.unsettled"].numel() == 0


def test_everything_an_exchange_asks_for_is_answered(start):
    run = manifest("gossip", every=4, codecs=("modulo",), overlap=False, mixes=1)
    trainer = start(run, stop_at=4)
    share = trainer.daemon.hear_a(Share)
    trainer.daemon.send(Encode(share=share.share, codec="int8", bits=0, bounds=None))
    encoded = trainer.daemon.hear_a(Encoded)
    assert encoded.body is not None
    (trainer.spool / "theirs").write_bytes((trainer.spool / encoded.body.file).read_bytes())
    trainer.daemon.send(Open(share=share.share, file="theirs", codec="int8"))
    assert trainer.daemon.hear_a(Opened).reason == ""
    trainer.daemon.send(Theirs(share=share.share, file=None, codec="int8", tokens=0, standing=64))
    assert trainer.daemon.hear_a(Mixed).accepted
    assert trainer.daemon.hear_out()[-1] == Finished(inner_step=4, reached_stop=True)


def test_finish_ends_training_wherever_it_stands(start):
    trainer = start(manifest(every=4))
    trainer.daemon.hear_a(Share)
    trainer.daemon.send(Finish())
    last = trainer.daemon.hear_out()[-1]
    assert isinstance(last, Finished)
    assert not last.reached_stop
    saved = checkpoint.newest(trainer.home, run_id(manifest(every=4)))
    assert saved is not None
    assert saved.counters.inner_step == last.inner_step


def test_a_paused_trainer_answers_and_makes_no_step(start):
    trainer = start(manifest(every=4, mixes=2, overlap=False), stop_at=8)
    share = trainer.daemon.hear_a(Share)
    trainer.daemon.send(Pause(), trainer.theirs(share, trainer.own(share) + 1e-3))
    refreshed = trainer.daemon.hear_a(Share)
    assert trainer.daemon.hear_a(Paused).inner_step == 4
    trainer.daemon.send(trainer.theirs(refreshed, trainer.own(refreshed) + 1e-3), Capture())
    assert trainer.daemon.hear_a(Mixed).accepted
    trainer.daemon.hear_a(Captured)
    assert trainer.replica.counters.inner_step == 4
    trainer.daemon.send(Resume())
    trainer.daemon.send(NoMix(share=trainer.daemon.hear_a(Share).share))
    assert trainer.daemon.hear_out()[-1] == Finished(inner_step=8, reached_stop=True)


def test_a_strict_wait_goes_on_though_the_trainer_is_to_pause(start):
    trainer = start(manifest(every=4, overlap=False, mixes=1), stop_at=8)
    share = trainer.daemon.hear_a(Share)
    trainer.daemon.send(Pause(), NoMix(share=share.share))
    assert trainer.daemon.hear_a(Paused).inner_step == 4
    trainer.daemon.send(Resume())
    trainer.daemon.send(NoMix(share=trainer.daemon.hear_a(Share).share))
    assert trainer.daemon.hear_out()[-1] == Finished(inner_step=8, reached_stop=True)


def test_finish_ends_a_pause(start):
    trainer = start(manifest(every=4))
    trainer.daemon.send(Pause())
    at = trainer.daemon.hear_a(Paused).inner_step
    trainer.daemon.send(Finish())
    assert trainer.daemon.hear_out()[-1] == Finished(inner_step=at, reached_stop=False)


def test_a_checkpoint_that_is_asked_for_is_of_now_and_nothing_ends(start):
    trainer = start(manifest(every=4))
    trainer.daemon.send(Pause())
    at = trainer.daemon.hear_a(Paused).inner_step
    for _ in range(2):
        trainer.daemon.send(Save())
        assert trainer.daemon.hear_a(Checkpointed).inner_step == at
    assert checkpoint.newest(trainer.home, run_id(manifest(every=4))).counters.inner_step == at
    shutil.rmtree(trainer.home)
    trainer.home.touch()
    trainer.daemon.send(Save())
    assert trainer.daemon.hear_a(CheckpointFailed).inner_step == at
    trainer.home.unlink()
    trainer.daemon.send(Finish())
    assert trainer.daemon.hear_out()[-1] == Finished(inner_step=at, reached_stop=False)


@pytest.mark.parametrize(("pace", "standing"), [(1e9, 64), (0.0, 0)], ids=["short", "long"])
def test_who_paused_for_longer_than_an_outer_step_comes_back_as_a_newcomer(
    start, monkeypatch, pace, standing
):
    """While it was away the others took outer steps without it."""
    trainer = start(manifest(every=4, overlap=False, mixes=1), stop_at=8)
    first = trainer.daemon.hear_a(Share)
    assert first.standing == 64
    trainer.daemon.send(Pause(), NoMix(share=first.share))
    trainer.daemon.hear_a(Paused)
    trainer.meter.pace = pace
    trainer.daemon.send(Resume())
    second = trainer.daemon.hear_a(Share)
    assert second.standing == standing
    trainer.daemon.send(NoMix(share=second.share))
    trainer.daemon.hear_out()


def test_a_pause_is_not_in_the_pace(start):
    trainer = start(manifest("solo"))
    trainer.daemon.send(Pause())
    trainer.daemon.hear_a(Paused)
    trainer.meter._since -= 1000.0
    trainer.daemon.send(Resume())
    assert trainer.daemon.hear_a(Progress).tokens_per_second > 64
    trainer.daemon.send(Finish())


def test_finish_ends_a_strict_wait(start):
    trainer = start(manifest(every=4, overlap=False))
    trainer.daemon.hear_a(Share)
    trainer.daemon.send(Finish())
    assert trainer.daemon.hear_out()[-1] == Finished(inner_step=4, reached_stop=False)


def test_a_daemon_that_is_gone_leaves_a_checkpoint(start):
    trainer = start(manifest(every=4, overlap=False))
    trainer.daemon.hear_a(Share)
    trainer.daemon.close()
    trainer.join()
    saved = checkpoint.newest(trainer.home, run_id(manifest(every=4, overlap=False)))
    assert saved is not None
    assert saved.counters.inner_step == 4


def test_a_capture_is_the_state_of_the_last_boundary(start):
    trainer = start(manifest(every=4, overlap=False), stop_at=6)
    share = trainer.daemon.hear_a(Share)
    trainer.daemon.send(Capture())
    captured = trainer.daemon.hear_a(Captured)
    newcomer = replica(manifest(every=4), shard=1)
    newcomer.adopt(captured.state, trainer.spool / captured.state.file)
    alone = replica(manifest(every=4))
    train(alone, 4)
    assert torch.equal(newcomer.theta, alone.theta)
    assert captured.size == 8 * newcomer.theta.numel()
    assert (captured.state.outer_step, captured.state.tokens) == (1, 4 * 64)
    trainer.daemon.send(NoMix(share=share.share))
    trainer.daemon.hear_out()


def test_old_checkpoints_are_renewed_at_a_boundary(start, monkeypatch):
    monkeypatch.setattr(checkpoints, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(checkpoints, "CHECKPOINT_SHARE", 0.0)
    trainer = start(manifest(every=4, overlap=False), stop_at=10)
    for _ in range(2):
        trainer.daemon.send(NoMix(share=trainer.daemon.hear_a(Share).share))
    written = [message.inner_step for message in said(trainer.daemon.hear_out(), Checkpointed)]
    assert written == [4, 8, 10]


def test_training_goes_on_while_a_checkpoint_is_completed(start, monkeypatch):
    monkeypatch.setattr(checkpoints, "CHECKPOINT_SECONDS", 0.0)
    trained = threading.Event()
    complete = checkpoint.Draft.complete

    def wait(draft: checkpoint.Draft):
        assert trained.wait(30)
        return complete(draft)

    monkeypatch.setattr(checkpoint.Draft, "complete", wait)
    trainer = start(manifest("solo", every=4), stop_at=300)
    while trainer.daemon.hear_a(Progress).inner_step <= 4:
        pass
    trained.set()
    written = [message.inner_step for message in said(trainer.daemon.hear_out(), Checkpointed)]
    assert (written[0], written[-1]) == (4, 300)
    saved = checkpoint.newest(trainer.home, run_id(manifest("solo", every=4)))
    assert saved is not None
    assert saved.counters.inner_step == 300


def test_what_a_partner_counts_on_is_mixed_though_training_ends(start, monkeypatch):
    asked = threading.Event()
    encode = Pairs.encode

    def slow(pairs, question):
        assert asked.wait(30)
        return encode(pairs, question)

    monkeypatch.setattr(Pairs, "encode", slow)
    trainer = start(manifest(every=4, mixes=1))
    share = trainer.daemon.hear_a(Share)
    theirs = trainer.theirs(share, trainer.own(share) + 1e-3)
    trainer.daemon.send(Encode(share=share.share, codec="fp32", bits=0, bounds=None))
    trainer.daemon.send(theirs)
    trainer.daemon.send(Finish())
    while not trainer._loop._stopping:
        pass
    asked.set()
    heard = trainer.daemon.hear_out()
    assert [mixed.accepted for mixed in said(heard, Mixed)] == [True]
    assert isinstance(heard[-1], Finished)


def full(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("landing", ["add", "blend_by_delay"])
def test_a_full_disk_costs_a_share_but_not_the_training(start, monkeypatch, landing):
    monkeypatch.setattr(spool, "_write", full)
    run = manifest("gossip", every=4, landing=landing, overlap=False)
    trainer = start(run, stop_at=6)
    failed = trainer.daemon.hear_a(ShareFailed)
    assert (failed.outer_step, failed.reason) == (1, "[Errno 28] No space left on device")
    trainer.daemon.hear_out()
    alone = replica(run)
    train(alone, 6)
    assert torch.equal(trainer.replica.theta, alone.theta)


def test_a_full_disk_is_told_to_who_asks_for_a_state(start, monkeypatch):
    trainer = start(manifest(every=4, overlap=False), stop_at=6)
    share = trainer.daemon.hear_a(Share)
    monkeypatch.setattr(spool, "_write", full)
    trainer.daemon.send(Capture())
    assert trainer.daemon.hear_a(Captured).state is None
    trainer.daemon.send(NoMix(share=share.share))
    trainer.daemon.hear_out()


def test_what_breaks_beside_training_ends_it_with_its_cause(start, monkeypatch):
    causes = []
    monkeypatch.setattr(threading, "excepthook", lambda broken: causes.append(broken.exc_value))
    trainer = start(manifest(every=4, overlap=False))
    share = trainer.daemon.hear_a(Share)
    monkeypatch.setattr(Shelf, "drop", lambda shelf, number: 1 / 0)
    trainer.daemon.send(NoMix(share=share.share))
    assert not said(trainer.daemon.hear_out(), Finished)
    trainer.join()
    assert [type(cause) for cause in causes] == [ZeroDivisionError]


def test_a_checkpoint_that_the_disk_refuses_is_said_and_tried_again(start, monkeypatch):
    monkeypatch.setattr(checkpoints, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(checkpoints, "CHECKPOINT_SHARE", 0.0)
    trainer = start(manifest(every=4, overlap=False), stop_at=8)
    first = trainer.daemon.hear_a(Share)
    trainer.home.write_text("a file where the folder should be")
    trainer.daemon.send(NoMix(share=first.share))
    failed = trainer.daemon.hear_a(CheckpointFailed)
    assert failed.inner_step == 4
    assert "cannot be written" in failed.reason
    second = trainer.daemon.hear_a(Share)
    trainer.home.unlink()
    trainer.daemon.send(NoMix(share=second.share))
    assert trainer.daemon.hear_a(Checkpointed).inner_step == 8
    assert trainer.daemon.hear_out()[-1] == Finished(inner_step=8, reached_stop=True)
