"""Real processes, and what they are called."""

import os
import subprocess
import sys
from contextlib import contextmanager

import psutil
import pytest

from peer.governor.sensors.processes import is_ours, memory_of, name_of, own_memory

GONE = 2**22 + 1
"""Above the kernel's largest process id."""

WAIT = "import sys; print('up', flush=True); sys.stdin.read()"


@contextmanager
def running(*arguments, detached=False):
    """Run Python until the end. Detached, it is no child of ours any more."""
    pipe = subprocess.PIPE
    if detached:
        code = f"import subprocess; print(subprocess.Popen({[sys.executable, *arguments]!r}).pid, flush=True)"
        arguments = ("-c", code)
    with subprocess.Popen([sys.executable, *arguments], stdin=pipe, stdout=pipe, text=True) as process:
        line = process.stdout.readline()
        if detached:
            process.wait()
            assert process.stdout.readline() == "up\n"
        yield int(line) if detached else process.pid
        process.stdin.close()


def test_a_script_is_called_by_its_name(tmp_path):
    script = tmp_path / "render.py"
    script.write_text(WAIT)
    with running("-u", str(script)) as pid:
        assert name_of(pid).startswith("python")
        assert name_of(pid).endswith(" render.py")


def test_a_module_is_called_by_its_name(tmp_path, monkeypatch):
    (tmp_path / "render_all.py").write_text(WAIT)
    monkeypatch.chdir(tmp_path)
    with running("-m", "render_all") as pid:
        assert name_of(pid).endswith(" render_all")


def test_code_has_no_name_but_pythons():
    with running("-u", "-c", WAIT) as pid:
        assert " " not in name_of(pid)


def test_who_has_ended_has_no_name_no_memory_and_is_not_ours():
    assert (name_of(GONE), memory_of(GONE), is_ours(GONE)) == (None, 0, False)


def test_we_and_what_we_started_are_ours():
    assert is_ours(os.getpid())
    assert is_ours(os.getppid()), "the program that runs the peer"
    with running("-c", WAIT) as pid:
        assert is_ours(pid)
        assert memory_of(os.getpid()) > memory_of(pid) > 1_000_000
        assert memory_of(os.getpid()) > own_memory() > 1_000_000


@pytest.mark.parametrize(("words", "ours"), [(("peer.trainer",), True), (("peer.trainers",), False)])
def test_of_the_others_only_trainers_are_ours(words, ours):
    with running("-c", WAIT, *words, detached=True) as pid:
        assert is_ours(pid) is ours


def test_a_rank_of_another_peers_trainer_is_ours_as_well():
    rank = f"import subprocess, sys; sys.exit(subprocess.call({[sys.executable, '-c', WAIT]!r}))"
    with running("-c", rank, "peer.trainer", detached=True) as pid:
        (child,) = psutil.Process(pid).children()
        assert "peer.trainer" not in child.cmdline()
        assert is_ours(child.pid)
