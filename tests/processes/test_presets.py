"""Every preset with real daemons, and every codec below 8 bits with one, small."""

from typing import get_args

import pytest

from protocol.manifest import CodecName
from protocol.presets import PRESETS
from tests.processes.losses import losses
from tests.processes.support import family

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
steps = 1200
warmup = 20
[outer]
preset = "{preset}"
every = 100
"""

LEAST_MIXES = 2
LEAST_STEPS = 500

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
    pairs = PRESETS[preset].group == 2
    with family(tmp_path) as members:
        members.run_file.write_text(RUN.format(preset=preset, codec=codec))
        peers = members.swarm(2 if pairs else 3)
        for peer in peers:
            for _ in range(LEAST_MIXES):
                peer.wait_for("exchange_done")
        for peer in peers:
            peer.wait_for("share_ready", lambda told: told["inner_step"] >= LEAST_STEPS)
        assert set(members.leave()) == {0}
        assert not any("Traceback" in line for peer in peers for line in peer.said)
    found = losses([peer.home for peer in peers])
    # How close the mixed are is for the simulator: after so few steps those who never mixed are as close.
    assert max(*found.replicas, found.average) < found.start - 1


def test_solo_mixes_with_nobody(tmp_path):
    with family(tmp_path) as members:
        members.run_file.write_text(RUN.format(preset="solo", codec="int8"))
        peers = members.swarm(2, "--steps", str(LEAST_STEPS))
        assert [peer.wait() for peer in peers] == [0, 0]
        told = {event["event"] for peer in peers for event in peer.drain()}
        assert not told & {"share_ready", "exchange_done", "exchange_failed"}
    found = losses([peer.home for peer in peers])
    assert max(found.replicas) < found.start - 1


def test_every_preset_that_mixes_and_every_codec_below_8_bits_is_run_here():
    mixing = {name for name, preset in PRESETS.items() if preset.group > 1}
    assert {preset for preset, _ in CASES} == mixing
    assert {codec for _, codec in CASES} == set(get_args(CodecName)) - {"fp32", "bf16", "int8"}
