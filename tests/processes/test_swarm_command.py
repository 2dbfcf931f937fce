"""`peer swarm` as its user runs it, small."""

import json
import signal
import subprocess
import sys
import time

import pytest

from tests.processes.support import SMALL_RUN

pytestmark = [pytest.mark.processes, pytest.mark.timeout(300)]


LARGER = {"steps = 100000": "steps = 300", "int8": "fp32", "width = 32": "width = 64"}
"""Shares of 160 kB: large enough for lanes."""


def _command(folder, *arguments):
    run_file = folder / "small.toml"
    run = SMALL_RUN
    for small, large in LARGER.items():
        run = run.replace(small, large)
    run_file.write_text(run)
    return [
        *(sys.executable, "-m", "peer", "swarm", "--folder", str(folder / "swarm")),
        *("--run", str(run_file), *arguments),
    ]


def test_the_report_is_one_object_with_every_promised_field(tmp_path):
    command = _command(tmp_path, "--peers", "4", "--steps", "300", "--json")
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    assert len(report["peers"]) == 4
    for peer in report["peers"]:
        assert set(peer) >= {"peer_id", "inner_steps", "tokens", "exchanges", "skips", "loss"}
        assert peer["inner_steps"] == 300
        assert peer["exchanges"] >= 1
    held_out = report["held_out"]
    assert held_out["average"] < held_out["start"] - 1
    assert held_out["average"] <= held_out["replicas_mean"]
    assert held_out["replicas_mean"] == pytest.approx(sum(held_out["replicas"]) / 4)
    assert report["bytes_sent"] > report["lane_bytes_sent"] > 0.5 * report["bytes_sent"]
    assert (report["preset"], report["codec"]) == ("gossip", "fp32")


@pytest.mark.parametrize("moment", ["starting", "training"])
def test_ctrl_c_ends_every_process_within_five_seconds_and_keeps_what_was_learned(tmp_path, moment):
    command = _command(tmp_path, "--peers", "3", "--steps", "100000")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with process:
        for line in process.stderr:
            if moment == "starting" or "step" in line:
                break
        pids = _children(process.pid)
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        assert process.wait(30) == 130
        assert time.monotonic() - began < 5
        assert not any(_alive(pid) for pid in pids)
        said = process.stderr.read()
    assert "Traceback" not in said
    if moment == "training":
        assert list((tmp_path / "swarm").glob("peer-0/checkpoints/step-*"))


def _children(pid: int) -> list[int]:
    import psutil

    return [child.pid for child in psutil.Process(pid).children(recursive=True)]


def _alive(pid: int) -> bool:
    import psutil

    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
