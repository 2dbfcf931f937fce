"""How the processes of several ranks end, whatever befalls one of them."""

import os
import signal
from contextlib import contextmanager

import psutil
import pytest

from peer.errors import Exit
from protocol.trainer import Failed
from tests.peer.trainer.test_main import ROOT, Process
from tests.peer.trainer.tiny import manifest

pytestmark = pytest.mark.processes


@contextmanager
def trainer(folder, how, **more):
    module = ("-m", "tests.peer.trainer.ranks.ending")
    # No thread of torch's must take a rank's signal, and no variable have a say in what torchrun does.
    played = {"HOW": how, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "4", "PET_STANDALONE": "1"}
    process = Process(folder, module, **played, **more)
    try:
        process.begin(manifest(), device="cpu,cpu")
        yield process
    finally:
        process.popen.kill()
        process.ended()


def assert_nothing_left(process):
    assert not list(process.spool.iterdir())


def test_a_rank_that_hangs_is_ended_and_all_with_it(tmp_path):
    os.mkfifo(here := tmp_path / "here")
    with trainer(tmp_path, "hang", HERE=str(here)) as process:
        assert process.daemon.hear() is None
        code, errors = process.ended()
        assert code == 1
        assert errors.endswith("a rank hangs, as a step that needs them all does not end: all end\n")
        rank, _ = (process.home / "pids").read_text().split()
        assert not psutil.pid_exists(int(rank))
        assert_nothing_left(process)


def test_what_a_person_can_mend_in_a_rank_is_told_as_of_rank_0(tmp_path):
    with trainer(tmp_path, "fail") as process:
        code = Exit.TASK_INVALID
        told = Failed(code=code, message="loss() fails in rank 1", remedy="Mend the plug-in")
        assert process.daemon.hear() == told
        assert process.ended()[0] == code
        assert_nothing_left(process)


def test_a_rank_that_the_system_ends_for_its_memory_looks_like_a_trainer_that_it_ends(tmp_path):
    with trainer(tmp_path, "starve") as process:
        assert process.daemon.hear() is None
        assert process.ended()[0] == -signal.SIGKILL
        assert_nothing_left(process)


def test_no_rank_outlives_torchrun(tmp_path):
    (tmp_path / "home").mkdir()
    os.mkfifo(pids := tmp_path / "home" / "pids")
    with trainer(tmp_path, "wait") as process:
        rank, torchrun = map(int, pids.read_text().split())  # as soon as it is there
        assert torchrun == process.popen.pid
        ranks = psutil.Process(torchrun).children()
        assert rank in [each.pid for each in ranks]
        for each in ranks:
            each.terminate()  # as systemd does to all processes of a service
        process.popen.kill()
        _, alive = psutil.wait_procs(ranks, timeout=60)
        assert not alive
