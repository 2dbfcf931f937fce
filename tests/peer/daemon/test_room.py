"""What a home drops to stay below its limit, and in which order."""

import pytest

from peer.daemon.room import Room, size

KB = 1024
CHECKPOINT = 100 * KB


def fill(path, kilobytes):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * kilobytes * KB)


@pytest.fixture
def home(tmp_path):
    """Three checkpoints of 100 kB, two event files, an identity: some 400 kB with folders and blocks."""
    for step in (10, 20, 30):
        fill(tmp_path / f"checkpoints/step-{step:08d}/model.safetensors", 96)
    fill(tmp_path / "events.log", 32)
    fill(tmp_path / "events.log.1", 64)
    fill(tmp_path / "identity.key", 1)
    return tmp_path


def kept(home):
    checkpoints = sorted(path.name[-2:] for path in (home / "checkpoints").glob("step-*"))
    return checkpoints, (home / "events.log.1").exists()


@pytest.mark.parametrize(
    ("below", "left"),
    [
        (2000, (["10", "20", "30"], True)),
        (540, (["10", "20", "30"], True)),
        (450, (["20", "30"], True)),
        (350, (["30"], True)),
        (280, (["30"], False)),
        (10, (["30"], False)),
    ],
)
def test_old_checkpoints_go_first_and_the_newest_never(home, below, left):
    told = Room(home, below * KB, CHECKPOINT)().home
    assert kept(home) == left
    assert told.taken == size(home)
    assert told.next_checkpoint == size(home / "checkpoints" / "step-00000030")
    assert (home / "identity.key").exists()
    assert (home / "events.log").exists()
    assert not list((home / "checkpoints").glob(".*"))


def test_a_new_home_needs_room_for_its_first_checkpoint(tmp_path):
    told = Room(tmp_path, 10**9, CHECKPOINT)().home
    assert (told.taken, told.next_checkpoint) == (size(tmp_path), CHECKPOINT)


def test_what_is_being_written_does_not_count_twice(home):
    before = Room(home, 10**9, CHECKPOINT)().home
    fill(home / "checkpoints/.new-step-00000040/model.safetensors", 96)
    assert Room(home, 10**9, CHECKPOINT)().home == before
