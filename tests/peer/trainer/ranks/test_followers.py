import subprocess
import sys

import psutil
import pytest

from peer.errors import Exit

pytestmark = pytest.mark.processes


def end(folder, how):
    command = [sys.executable, "-m", "tests.peer.trainer.ranks.ending", str(folder), how]
    ended = subprocess.run(command, capture_output=True, text=True)
    pid, *told = ended.stdout.splitlines()
    assert not psutil.pid_exists(int(pid))
    return ended.returncode, told, [line for line in ended.stderr.splitlines() if line.startswith("ERROR:")]


def test_a_rank_that_hangs_is_ended_and_rank_0_with_it(tmp_path):
    said = "a rank hangs, as a step that needs them all does not end: all end"
    assert end(tmp_path, "hang") == (1, [], [f"ERROR:peer.trainer.ranks.followers:{said}"])


def test_what_a_person_can_mend_in_a_rank_is_told_as_of_rank_0(tmp_path):
    code, told, _ = end(tmp_path, "fail")
    assert code == Exit.TASK_INVALID
    assert told == [f"{code}|loss() fails in rank 1|Mend the plug-in"]
    assert not [file for file in tmp_path.iterdir() if file.name.endswith("-1")]
