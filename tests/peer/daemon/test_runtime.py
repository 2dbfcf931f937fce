import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from peer.daemon.runtime import LONGEST_SOCKET, Runtime, control_socket
from peer.errors import HomeError, NotRunningError


@pytest.fixture
def home(tmp_path):
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.fixture
def memory():
    """Stands for /dev/shm; short, as pytest's own folders may be too long for a socket."""
    folder = Path(tempfile.mkdtemp())
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def temporary(memory, monkeypatch):
    """Stands for /tmp."""
    folder = memory / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_it_lies_in_shared_memory_and_goes_with_the_daemon(home, memory):
    with Runtime.open(home, shared_memory=memory, room=0) as runtime:
        assert runtime.path.parent == memory
        assert stat.S_IMODE(runtime.path.stat().st_mode) == 0o700
        assert list(runtime.spool.iterdir()) == []
        (runtime.spool / "tensor").write_bytes(b"x")
        assert control_socket(home) == runtime.control
    assert list(memory.iterdir()) == []
    with pytest.raises(NotRunningError):
        control_socket(home)


def test_a_socket_can_be_bound_there(home, memory):
    with (
        Runtime.open(home, shared_memory=memory, room=0) as runtime,
        socket.socket(socket.AF_UNIX) as listener,
    ):
        listener.bind(str(runtime.control))
        assert len(os.fsencode(runtime.control)) < LONGEST_SOCKET


def test_it_lies_in_the_temporary_folder_where_shared_memory_is_small(home, memory, temporary):
    with Runtime.open(home, shared_memory=memory, room=1 << 62) as runtime:
        assert runtime.path.parent == temporary
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("missing", [Path("/nonexistent"), Path("/proc/self/status")])
def test_it_lies_in_the_temporary_folder_where_there_is_no_shared_memory(home, temporary, missing):
    with Runtime.open(home, shared_memory=missing, room=0) as runtime:
        assert runtime.path.parent == temporary


def test_what_killed_daemons_left_is_removed_from_either_place(home, memory, temporary):
    for base in (memory, temporary):
        (base / "murmuration-runtime-left").mkdir(mode=0o700)
    with Runtime.open(home, shared_memory=memory, room=0) as runtime:
        assert sorted(memory.iterdir()) == sorted([runtime.path, temporary])
        assert list(temporary.iterdir()) == []


def test_a_killed_daemon_is_cleaned_up_after_by_another(home, memory, tmp_path):
    code = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from peer.daemon.runtime import Runtime\n"
        "with Runtime.open(Path(sys.argv[1]), shared_memory=Path(sys.argv[2]), room=0):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(home), str(memory)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len(list(memory.iterdir())) == 1
    (tmp_path / "other").mkdir()
    with Runtime.open(tmp_path / "other", shared_memory=memory, room=0) as runtime:
        assert list(memory.iterdir()) == [runtime.path]


def test_daemons_that_live_links_and_open_folders_are_left_alone(home, memory, tmp_path):
    (tmp_path / "other").mkdir()
    precious = tmp_path / "precious"
    precious.mkdir()
    (memory / "murmuration-runtime-of-my-own").mkdir(mode=0o755)
    (memory / "murmuration-runtime-link").symlink_to(precious)
    with (
        Runtime.open(tmp_path / "other", shared_memory=memory, room=0) as other,
        Runtime.open(home, shared_memory=memory, room=0),
    ):
        assert other.spool.is_dir()
        assert precious.is_dir()
        assert (memory / "murmuration-runtime-of-my-own").is_dir()
        assert (memory / "murmuration-runtime-link").is_symlink()


def test_a_folder_of_another_user_is_left_alone(home, memory, monkeypatch):
    theirs = memory / "murmuration-runtime-theirs"
    theirs.mkdir(mode=0o700)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with Runtime.open(home, shared_memory=memory, room=0):
        assert theirs.is_dir()


def test_a_path_too_long_for_a_socket_is_refused(home, memory):
    deep = memory / ("x" * LONGEST_SOCKET)
    deep.mkdir()
    with (
        pytest.raises(HomeError, match=r"too long a path for a socket\. Set TMPDIR"),
        Runtime.open(home, shared_memory=deep, room=0),
    ):
        pass
    assert list(deep.iterdir()) == []


def test_no_place_at_all_is_refused(home, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", "/nonexistent")
    with (
        pytest.raises(HomeError, match="Cannot make a folder in /nonexistent: No such file"),
        Runtime.open(home, shared_memory=Path("/nonexistent")),
    ):
        pass


def test_a_home_without_a_daemon_says_so(tmp_path):
    with pytest.raises(NotRunningError, match="peer start"):
        control_socket(tmp_path / "nowhere")
