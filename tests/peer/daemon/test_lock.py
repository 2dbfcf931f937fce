import os
import subprocess
import sys

import pytest

from peer.daemon.lock import locked
from peer.errors import Exit, HomeInUseError

HOLDER = """
import sys
from pathlib import Path
from peer.daemon.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock until its input ends."""
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()


def test_a_lock_held_by_another_process_is_refused_with_its_number(holder, tmp_path):
    with (
        pytest.raises(
            HomeInUseError,
            match=f"is in use by process {holder.pid}. Stop that one with `peer stop --home {tmp_path}`",
        ) as caught,
        locked(tmp_path / "lock"),
    ):
        pass
    assert caught.value.code == Exit.HOME_IN_USE


def test_a_killed_holder_leaves_the_lock_free(holder, tmp_path):
    holder.kill()
    holder.wait()
    with locked(tmp_path / "lock"):
        assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"


def test_a_child_does_not_hold_its_parents_lock(tmp_path):
    with locked(tmp_path / "lock"):
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with child:
        with locked(tmp_path / "lock"):
            pass
        child.kill()


def test_a_lock_can_be_taken_again_and_again(tmp_path):
    for _ in range(3):
        with locked(tmp_path / "lock"):
            pass


@pytest.mark.parametrize("left", ["", "nonsense", "\n"])
def test_a_holder_that_has_not_said_its_number_yet_is_refused_too(tmp_path, left):
    with locked(tmp_path / "lock"):
        (tmp_path / "lock").write_text(left)
        with pytest.raises(HomeInUseError, match="another process"), locked(tmp_path / "lock"):
            pass


def test_a_shorter_number_replaces_a_longer_one_whole(tmp_path):
    (tmp_path / "lock").write_text("99999999999999\n")
    with locked(tmp_path / "lock"):
        assert int((tmp_path / "lock").read_text()) == os.getpid()
