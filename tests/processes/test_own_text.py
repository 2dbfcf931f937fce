"""A run on a person's own text, which has to be found at the start, at the report, and at the next start."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes.support import SMALL_RUN, family

pytestmark = [pytest.mark.processes, pytest.mark.timeout(240)]

ROOT = Path(__file__).parents[2]


def test_a_swarm_on_ones_own_text_runs_to_its_report_and_its_peers_go_on_from_any_folder(tmp_path):
    (tmp_path / "text").write_text("the quick brown fox jumps over the lazy dog\n" * 2000)
    settings = SMALL_RUN.replace("steps = 100000", "steps = 60")
    (tmp_path / "run.toml").write_text(settings + '[data]\nsource = "text"\npath = "text"\n')
    command = [sys.executable, "-m", "peer", "swarm", "--run", "run.toml", "--json"]
    done = subprocess.run(
        [*command, "--peers", "2", "--steps", "60", "--folder", "swarm"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert [peer["inner_steps"] for peer in report["peers"]] == [60, 60]
    assert report["held_out"]["average"] < report["held_out"]["start"] - 1

    with family(tmp_path / "swarm") as members:
        for name in ("peer-0", "peer-1"):
            peer = members.start(name)
            started = peer.wait_for("trainer_started")
            assert started["resumed"]
            assert started["inner_step"] == 60
            peer.end(signal.SIGTERM)
