"""`peer swarm` as its user runs it: to its report, and to Ctrl-C."""

import json
import signal
import subprocess
import sys
import time

import msgspec
import pytest

from peer.local.report import Report
from tests.processes.support import SMALL_RUN
from tests.test_readme import marked

pytestmark = [pytest.mark.processes, pytest.mark.timeout(300)]


def test_the_readmes_command_does_what_is_told(tmp_path):
    _, *arguments = marked("run")[-1]
    command = [sys.executable, "-m", "peer", *arguments, "--json", "--folder", str(tmp_path / "swarm")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=290, check=False)
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    report = msgspec.json.decode(line, type=Report, strict=True)
    assert json.loads(line).keys() == set(Report.__struct_fields__)
    assert len(report.peers) == len(report.held_out.replicas) == len(report.checkpoints) == 4
    assert all(peer.inner_steps == 200 for peer in report.peers)
    assert all(peer.exchanges >= 1 for peer in report.peers)
    held_out = report.held_out
    assert held_out.average <= held_out.start - 1
    assert held_out.average <= held_out.replicas_mean
    assert held_out.replicas_mean == pytest.approx(sum(held_out.replicas) / 4)
    assert report.bytes_sent > report.lane_bytes_sent > 0.5 * report.bytes_sent
    assert (report.preset, report.codec) == ("gossip", "int8")


@pytest.mark.parametrize("moment", ["starting", "training"])
def test_ctrl_c_ends_every_process_within_five_seconds_and_keeps_what_was_learned(tmp_path, moment):
    (tmp_path / "run.toml").write_text(SMALL_RUN)
    command = [sys.executable, "-m", "peer", "swarm", "--folder", str(tmp_path / "swarm")]
    command += ["--run", str(tmp_path / "run.toml"), "--peers", "3", "--steps", "100000"]
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
