"""Weights & Biases without a network, in a process of its own as it starts others."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("wandb")

CODE = """
import sys, threading
from pathlib import Path
from peer.telemetry.sinks.sink import SinkThread
from peer.telemetry.sinks.wandb import Wandb, WandbRun

run = WandbRun("project", "group", "name", "run-1", Path(sys.argv[1]))
thread = SinkThread("wandb", lambda: Wandb(run))
for step in (10, 20, 15):
    thread.put(step, {"loss": 1.0 / step})
assert thread.close(90)
told = thread.statistics()
print(told.written, told.failure, [name for name in ("torch", "trio") if name in sys.modules])
"""


def _run(folder, **env):
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(folder)],
        capture_output=True, text=True, timeout=110, check=False, stdin=subprocess.DEVNULL,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), "HOME": str(folder), **env},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done


def test_offline_everything_stays_on_this_machine(tmp_path):
    done = _run(tmp_path, WANDB_MODE="offline")
    assert done.stdout == "3 None []\n"
    assert done.stderr == ""
    (file,) = tmp_path.glob("wandb/offline-run-*/*.wandb")
    kept = file.read_bytes()
    assert all(word in kept for word in (b"inner_step", b"loss", b"0.05", b"project", b"group"))
    assert not list(tmp_path.glob("wandb/*/files/requirements.txt")), "nothing of this machine"


def test_who_has_not_logged_in_is_told_and_not_asked(tmp_path):
    done = _run(tmp_path, WANDB_BASE_URL="http://127.0.0.1:9")
    assert done.stdout.startswith("0 ")
    assert "None" not in done.stdout.split("[")[0]
