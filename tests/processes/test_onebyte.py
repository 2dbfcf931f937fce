"""Real peers fine-tune one file of weights by votes; one joins late, one leaves, and who stays agrees."""

import json
import signal

import pytest
from safetensors.torch import save_file

from peer.trainer.model import build
from protocol.manifest import Model
from tests.processes.support import family

pytestmark = [pytest.mark.processes, pytest.mark.timeout(300)]

MODEL = Model(layers=1, width=32, heads=2, hidden=64, context=32)

RUN = """
[model]
layers = 1
width = 32
heads = 2
hidden = 64
context = 32
path = "base.safetensors"
[inner]
batch = 2
steps = 100
warmup = 0
[outer]
preset = "onebyte"
[onebyte]
samples = 2
"""
ALL = 2 * 100
"""Votes of a peer that stays to the end."""


def _weights(peer):
    """The hash of the weights in the peer's last checkpoint, and how many steps of its own are in it."""
    index = json.loads((max((peer.home / "checkpoints").glob("step-*")) / "checkpoint.json").read_text())
    return index["sha256"]["model.safetensors"], index["counters"]["inner_step"]


def test_peers_that_hold_the_same_votes_have_the_same_weights(tmp_path):
    with family(tmp_path) as members:
        members.run_file.write_text(RUN)
        save_file(dict(build(MODEL, 256, 5).named_parameters()), tmp_path / "base.safetensors")
        first = members.found("first")
        address = first.address
        # These have no file of weights, and get it from the swarm.
        second = members.start("second", "--bootstrap", address)
        third = members.start("third", "--bootstrap", address, "--steps", "20")
        assert third.wait() == 0
        assert _weights(third)[1] == 20
        late = members.start("late", "--bootstrap", address)
        stay = (first, second, late)
        everything = 3 * ALL + 2 * 20
        for peer in stay:
            peer.wait_for("votes_equal", lambda told: told["votes"] == everything)
        for peer in stay:
            assert peer.end(signal.SIGTERM) == 0
        assert len({_weights(peer) for peer in stay}) == 1
        assert _weights(first)[1] == 100
        assert _weights(first)[0] != _weights(third)[0]


def test_a_peer_that_was_killed_goes_on_without_voting_twice(tmp_path):
    # Long enough that the kill comes in the midst of it on a fast machine too.
    steps = 2000
    with family(tmp_path) as members:
        members.run_file.write_text(RUN.replace("steps = 100", f"steps = {steps}"))
        save_file(dict(build(MODEL, 256, 5).named_parameters()), tmp_path / "base.safetensors")
        first = members.found("first")
        address = first.address
        second = members.start("second", "--bootstrap", address)
        met = second.wait_for("votes_equal", lambda told: told["voters"] == 2)
        assert met["votes"] < 4 * steps
        second.end(signal.SIGKILL)
        second = members.start("second")
        # It has no checkpoint yet, but its votes are on disk.
        assert 0 < second.wait_for("trainer_started")["inner_step"] < steps
        for peer in (second, first):
            peer.wait_for("votes_equal", lambda told: told["votes"] == 4 * steps)
        for peer in (second, first):
            assert peer.end(signal.SIGTERM) == 0
        assert _weights(first) == _weights(second)
