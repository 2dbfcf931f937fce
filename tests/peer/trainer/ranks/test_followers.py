import subprocess
import sys

import psutil
import pytest

pytestmark = pytest.mark.processes


def test_a_rank_that_hangs_is_ended_and_rank_0_with_it(tmp_path):
    command = [sys.executable, "-m", "tests.peer.trainer.ranks.hanging", str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 1
    assert [line for line in ended.stderr.splitlines() if line.startswith("ERROR")] == [
        "ERROR:peer.trainer.ranks.followers:a rank hangs, as a step that needs them all does not end: all end"
    ]
    assert not psutil.pid_exists(int(ended.stdout))
