"""When the next checkpoint is due."""

import torch

from peer.trainer import checkpoint, checkpoints
from peer.trainer.checkpoints import Checkpoints
from protocol.trainer import Checkpointed, CheckpointFailed
from tests.peer.trainer.tiny import manifest, replica, run_id


def at_once(monkeypatch):
    monkeypatch.setattr(checkpoints, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(checkpoints, "CHECKPOINT_SHARE", 0.0)


def test_a_failed_checkpoint_is_not_tried_again_before_it_is_due(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    at_once(monkeypatch)
    saving = Checkpoints(replica(), tmp_path / "file", run_id(manifest()))
    assert saving.due
    monkeypatch.setattr(checkpoints, "CHECKPOINT_SECONDS", 60.0)
    assert isinstance(saving.attempt(), CheckpointFailed)
    assert not saving.due


def test_none_is_due_while_one_is_being_completed_and_it_holds_what_was_there_when_it_began(
    tmp_path, monkeypatch
):
    at_once(monkeypatch)
    ours = replica()
    saving = Checkpoints(ours, tmp_path, run_id(manifest()))
    before = ours.theta.clone()
    complete = saving.begin()
    assert not saving.due
    ours.take_inner_step()
    done = complete()
    assert isinstance(done, Checkpointed)
    assert done.inner_step == 0
    assert saving.due
    saved = checkpoint.newest(tmp_path, run_id(manifest()))
    assert saved is not None
    again = replica()
    again.restore(saved)
    assert torch.equal(again.theta, before)
    assert not torch.equal(ours.theta, before)


def test_one_that_was_never_completed_is_cleared_away(tmp_path):
    saving = Checkpoints(replica(), tmp_path, run_id(manifest()))
    saving.begin()
    assert [path.name for path in tmp_path.iterdir()] == [".new-step-00000000"]
    saving.write()
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000000"]
