import errno
import json
import logging
import os
from pathlib import Path

import pytest
import torch

from peer.errors import CheckpointError, HomeError
from peer.trainer import checkpoint
from peer.trainer.checkpoint import Contents, Counters
from peer.trainer.model import build
from peer.trainer.order import Position
from protocol.manifest import Model
from tests.peer.trainer.tiny import MODEL

RUN = b"r" * 32


def contents(step: int) -> Contents:
    weights = {name: value.detach() for name, value in build(MODEL, 256, seed=step).named_parameters()}
    counters = Counters(step, step // 4, step * 64, step - 1, Position(2, 5))
    return Contents(counters, weights, {"phi": torch.full((3,), float(step))})


def damage(path: Path, how: str) -> None:
    file = path / checkpoint.STATE
    if how == "cut":
        file.write_bytes(file.read_bytes()[:-1])
    elif how == "flipped":
        content = bytearray(file.read_bytes())
        content[-1] ^= 1
        file.write_bytes(content)
    elif how == "gone":
        file.unlink()
    elif how == "no index":
        (path / checkpoint.INDEX).unlink()
    elif how == "newer format":
        index = json.loads((path / checkpoint.INDEX).read_text())
        (path / checkpoint.INDEX).write_text(json.dumps(index | {"format": 99}))


def test_what_was_saved_comes_back(tmp_path):
    path = checkpoint.save(tmp_path / "checkpoints", RUN, contents(8))
    assert path.name == "step-00000008"
    found = checkpoint.newest(tmp_path / "checkpoints", RUN)
    assert found is not None
    assert found.counters == contents(8).counters
    assert found.state["phi"].tolist() == [8.0] * 3
    assert all(torch.equal(found.weights[name], value) for name, value in contents(8).weights.items())


def test_nothing_saved_is_nothing_found(tmp_path):
    assert checkpoint.newest(tmp_path / "absent", RUN) is None


def test_the_newest_three_are_kept(tmp_path):
    for step in (4, 8, 12, 16, 120):
        checkpoint.save(tmp_path, RUN, contents(step))
    assert [path.name for path in checkpoint.paths(tmp_path)] == [
        "step-00000120",
        "step-00000016",
        "step-00000012",
    ]
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("how", ["cut", "flipped", "gone", "no index", "newer format"])
def test_a_damaged_one_gives_way_to_the_one_before(tmp_path, caplog, how):
    checkpoint.save(tmp_path, RUN, contents(4))
    damage(checkpoint.save(tmp_path, RUN, contents(8)), how)
    with caplog.at_level(logging.WARNING):
        found = checkpoint.newest(tmp_path, RUN)
    assert found is not None
    assert found.counters.inner_step == 4
    assert "step-00000008 is damaged" in caplog.text


def test_weights_are_examined_without_being_loaded(tmp_path):
    assert checkpoint.newest_weights(tmp_path) is None
    kept = checkpoint.save(tmp_path, RUN, contents(4))
    (kept / checkpoint.STATE).unlink()  # whoever wants the weights only does not need it
    (checkpoint.save(tmp_path, RUN, contents(8)) / checkpoint.WEIGHTS).write_bytes(b"cut")
    saved = checkpoint.newest_weights(tmp_path)
    assert saved == checkpoint.Saved(kept, RUN.hex(), contents(4).counters)
    assert checkpoint.examine(kept) == saved
    with pytest.raises(CheckpointError, match="step-00000008 is damaged"):
        checkpoint.examine(tmp_path / "step-00000008")
    (kept / checkpoint.WEIGHTS).write_bytes(b"")
    with pytest.raises(CheckpointError, match="none of the 2"):
        checkpoint.newest_weights(tmp_path)


def test_none_whole_is_an_error(tmp_path):
    for step in (4, 8):
        damage(checkpoint.save(tmp_path, RUN, contents(step)), "cut")
    with pytest.raises(CheckpointError, match="none of the 2"):
        checkpoint.newest(tmp_path, RUN)


def test_another_run_is_an_error(tmp_path):
    checkpoint.save(tmp_path, RUN, contents(4))
    with pytest.raises(CheckpointError, match="of the run 7272"):
        checkpoint.newest(tmp_path, b"q" * 32)


def test_the_same_step_is_replaced(tmp_path):
    damage(checkpoint.save(tmp_path, RUN, contents(4)), "cut")
    checkpoint.save(tmp_path, RUN, contents(4))
    assert checkpoint.newest(tmp_path, RUN) is not None
    assert len(list(tmp_path.iterdir())) == 1


def test_an_interrupted_save_leaves_nothing(tmp_path):
    checkpoint.save(tmp_path, RUN, contents(4))
    half = tmp_path / ".new-step-00000008"
    half.mkdir()
    (half / checkpoint.WEIGHTS).write_bytes(b"half")
    found = checkpoint.newest(tmp_path, RUN)
    assert found is not None
    assert found.counters.inner_step == 4
    checkpoint.save(tmp_path, RUN, contents(8))
    assert not half.exists()


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(HomeError, match="cannot be written"):
        checkpoint.save(tmp_path / "file", RUN, contents(4))


def test_a_disk_that_is_full_half_way_is_given_its_space_back(tmp_path, monkeypatch):
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    kept = checkpoint.save(tmp_path, RUN, contents(4))
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(HomeError, match="No space left"):
        checkpoint.save(tmp_path, RUN, contents(8))
    assert list(tmp_path.iterdir()) == [kept]


def test_weights_go_into_a_model_of_their_shape_only(tmp_path):
    path = checkpoint.save(tmp_path, RUN, contents(4))
    net = build(MODEL, 256, seed=0)
    checkpoint.load_weights(path, net)
    assert torch.equal(net.embed_tokens.weight, contents(4).weights["embed_tokens.weight"])
    with pytest.raises(CheckpointError, match="another model"):
        checkpoint.load_weights(
            path, build(Model(layers=1, width=32, heads=2, hidden=64, context=32), 256, 0)
        )
    (path / checkpoint.WEIGHTS).write_bytes(b"nonsense")
    with pytest.raises(CheckpointError, match="damaged"):
        checkpoint.load_weights(path, net)
