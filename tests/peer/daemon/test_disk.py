"""What is free on a disk is the system's to say; what is needed follows from the run."""

import shutil
from types import SimpleNamespace

import pytest
from msgspec.structs import replace

from peer.daemon import disk
from peer.errors import HomeError
from protocol import sizes
from protocol.manifest import Manifest
from tests.peer.trainer import tiny
from tests.peer.trainer.onebyte import small

MANIFEST = Manifest(founder=bytes(32))
ONE = disk.checkpoint(MANIFEST)


@pytest.fixture
def free(monkeypatch):
    """Say how many bytes are free."""

    def free(count):
        monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=count))

    return free


@pytest.mark.parametrize(
    ("preset", "inner", "codecs"),
    [
        ("noloco", "adamw", ("fp32",)),
        ("solo", "adamw", ("fp32",)),
        ("gossip", "sgd", ("fp32",)),
        ("diloco", "adamw", ("topk",)),
    ],
)
def test_a_checkpoint_takes_what_its_tensors_take(preset, inner, codecs):
    run = tiny.manifest(preset, codecs=codecs)
    run = replace(run, inner=replace(run.inner, kind=inner))
    contents = tiny.replica(run).contents()
    tensors = [
        *contents.weights.values(),
        *(each for each in contents.state.values() if each.is_floating_point()),
    ]
    assert sum(each.nbytes for each in tensors) == disk.checkpoint(run)


def test_a_voters_checkpoint_takes_its_weights_and_the_total_of_its_votes():
    contents = small.voter(small.run()).contents()
    tensors = [*contents.weights.values(), contents.state["votes.total"]]
    assert sum(each.nbytes for each in tensors) == disk.checkpoint(small.run())


def test_a_checkpoint_and_one_more_must_find_room(tmp_path):
    told = disk.look(tmp_path, MANIFEST)
    assert told is not None
    assert told.free > 0
    assert told.needed == 2 * ONE


def test_a_folder_that_is_gone_tells_nothing(tmp_path):
    gone = tmp_path / "gone"
    assert disk.look(gone, MANIFEST) is None
    assert disk.short(gone, MANIFEST, None) is None
    disk.check(gone, MANIFEST)


def test_a_disk_without_room_for_one_checkpoint_is_refused(tmp_path, free):
    free(ONE)
    disk.check(tmp_path, MANIFEST)
    free(ONE - 4096)
    with pytest.raises(HomeError, match=r"run 'default' takes 8\.7 MB, and 8\.7 MB are free there"):
        disk.check(tmp_path, MANIFEST)
    half = tmp_path / "checkpoints" / ".new-step-00000020"
    half.mkdir(parents=True)
    (half / "model.safetensors").write_bytes(bytes(4096))
    disk.check(tmp_path, MANIFEST)


@pytest.mark.parametrize(
    ("there", "limit", "needed"), [(0, None, 4), (2, None, 2), (4, None, 1), (0, 3 * ONE, 3)]
)
def test_what_is_yet_to_come_must_find_room_or_it_is_said(tmp_path, free, there, limit, needed):
    for step in range(there):
        (tmp_path / "checkpoints" / f"step-{step:08d}").mkdir(parents=True)
    free(needed * ONE)
    assert disk.short(tmp_path, MANIFEST, limit) is None
    free(needed * ONE - 1)
    told = disk.short(tmp_path, MANIFEST, limit)
    assert told is not None
    assert (told.free, told.needed) == (needed * ONE - 1, needed * ONE)


def test_without_room_for_a_state_none_is_fetched(tmp_path):
    one, state, block = ONE, sizes.state_bytes(MANIFEST), 64 * 1024
    for step in (10, 20):
        _fill(tmp_path / f"checkpoints/step-{step:08d}/model", one)
    assert disk.lacks_room(tmp_path, None, MANIFEST) == ""
    two = 2 * one + block
    assert disk.lacks_room(tmp_path, two + state, MANIFEST) == "", "the older checkpoint makes room"
    assert "raise it" in disk.lacks_room(tmp_path, two + state // 2, MANIFEST)
    _fill(tmp_path / "joining/state", state // 2)
    assert disk.lacks_room(tmp_path, two + state, MANIFEST) == "", "what is there already is counted once"


def test_a_full_disk_is_seen_before_a_state_is_fetched(tmp_path, free):
    free(sizes.state_bytes(MANIFEST) + ONE - 1)
    assert "free some" in disk.lacks_room(tmp_path, None, MANIFEST)
    free(sizes.state_bytes(MANIFEST) + ONE)
    assert disk.lacks_room(tmp_path, None, MANIFEST) == ""


def _fill(path, count):
    path.parent.mkdir(parents=True)
    path.write_bytes(bytes(count))
