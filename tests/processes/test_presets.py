"""Every preset with real daemons, and every codec with one, as `peer swarm` runs them, small."""

import json
import subprocess
import sys
from typing import get_args

import pytest

from protocol.manifest import CodecName
from protocol.presets import PRESETS

pytestmark = [pytest.mark.processes, pytest.mark.timeout(200)]

RUN = """
codecs = ["{codec}"]
[model]
layers = 2
width = 32
heads = 2
hidden = 64
context = 32
[inner]
batch = 4
steps = {steps}
warmup = 20
[outer]
preset = "{preset}"
every = 100
"""
STEPS = 1200


def _swarm(folder, preset, codec):
    run_file = folder / "run.toml"
    run_file.write_text(RUN.format(preset=preset, codec=codec, steps=STEPS))
    command = [sys.executable, "-m", "peer", "swarm", "--folder", str(folder / "swarm"), "--json"]
    command += ["--run", str(run_file), "--peers", "3", "--steps", str(STEPS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    assert all(peer["inner_steps"] == STEPS for peer in report["peers"])
    assert report["preset"] == preset
    return report


CASES = [
    ("noloco", "modulo"),
    ("gossip", "auto"),
    ("streaming-gossip", "modulo"),
    ("diloco", "ecsq"),
    ("diloco", "topk"),
    ("streaming-diloco", "e3m0"),
]


@pytest.mark.parametrize(("preset", "codec"), CASES)
def test_peers_mix_and_learn(tmp_path, preset, codec):
    report = _swarm(tmp_path, preset, codec)
    assert all(peer["exchanges"] >= 2 for peer in report["peers"])
    held_out = report["held_out"]
    assert held_out["average"] < held_out["start"] - 1
    # Mixed replicas are close: their average is no worse than they are.
    assert held_out["average"] <= held_out["replicas_mean"] + 0.02


def test_solo_mixes_with_nobody(tmp_path):
    report = _swarm(tmp_path, "solo", "int8")
    assert all(peer["exchanges"] == 0 for peer in report["peers"])
    assert report["held_out"]["replicas_mean"] < report["held_out"]["start"] - 1


def test_every_preset_that_mixes_and_every_codec_below_8_bits_is_run_here():
    mixing = {name for name, preset in PRESETS.items() if preset.group > 1}
    assert {preset for preset, _ in CASES} == mixing
    assert {codec for _, codec in CASES} == set(get_args(CodecName)) - {"fp32", "bf16", "int8"}
