"""A trainer with two processes on the CPU learns what a trainer with one learns, but for rounding."""

from contextlib import contextmanager

import numpy as np
import pytest
import torch
from msgspec.structs import replace

from peer.errors import Exit
from protocol.trainer import (
    Capture,
    Captured,
    Finished,
    Fitted,
    Mixed,
    NoMix,
    Pause,
    Paused,
    Ready,
    Resume,
    Share,
    Theirs,
)
from tests.peer.trainer.test_main import Process
from tests.peer.trainer.tiny import INNER, manifest

pytestmark = pytest.mark.processes

RUN = replace(manifest("noloco", every=4, overlap=False), inner=replace(INNER, batch=5, learning_rate=1e-3))
"""Five examples a batch: two of them for one rank, and three for the other, which needs two passes."""

TOLERANCE = 1e-5
"""Of weights of the order of 0.1, each of which twelve steps move by up to 1e-2. Measured: 1.2e-7."""


def first_life(folder, stop_at, **asked):
    """Outer steps of a new home: one with a mix, then a pause, then those that nobody mixes."""
    folder.mkdir()
    with trainer(folder, stop_at, **asked) as process:
        daemon = process.daemon
        ready = daemon.hear_a(Ready)
        share = daemon.hear_a(Share)
        theirs = np.fromfile(process.spool / share.body.file, np.float32) * np.float32(1.05)
        theirs.tofile(process.spool / "theirs")
        daemon.send(Theirs(share=share.share, file="theirs", codec="fp32", tokens=0, standing=64), Pause())
        assert daemon.hear_a(Mixed).accepted
        daemon.hear_a(Paused)
        daemon.send(Capture(), Resume())
        assert daemon.hear_a(Captured).state is not None
        let_go_on(process, stop_at // 4 - 1)
        return ready, fitted(process), process.saved(RUN)


def second_life(folder, stop_at, **asked):
    """The same home after a restart."""
    with trainer(folder, stop_at, **asked) as process:
        ready = process.daemon.hear_a(Ready)
        let_go_on(process, 1)
        return ready, fitted(process), process.saved(RUN)


@contextmanager
def trainer(folder, stop_at, **asked):
    process = Process(folder)
    try:
        process.begin(RUN, stop_at=stop_at, **asked)
        yield process
    finally:
        process.popen.kill()
        process.ended()


def let_go_on(process, outer_steps):
    for _ in range(outer_steps):
        process.daemon.send(NoMix(share=process.daemon.hear_a(Share).share))
    assert isinstance(process.daemon.hear_out()[-1], Finished)
    assert process.ended() == (Exit.DONE, "")


def fitted(process):
    said = [each for each in process.daemon.heard if isinstance(each, Fitted)]
    return [(each.micro_batch, each.batch, each.how) for each in said]


def test_two_ranks_learn_what_one_process_learns(tmp_path):
    ready, fit, alone = first_life(tmp_path / "alone", 12, device="cpu")
    assert (ready.device, ready.ranks, fit) == ("cpu", 1, [(5, 5, "found")])

    # Rank 0 has two examples; the other three, and both are held to two at a time.
    two = {"device": "cpu,cpu", "micro_batch": 2}
    ready, fit, _ = first_life(tmp_path / "together", 8, **two)
    assert (ready.device, ready.ranks, fit) == ("cpu,cpu", 2, [(2, 3, "found")])
    ready, fit, together = second_life(tmp_path / "together", 12, **two)
    assert (ready.resumed, ready.ranks, fit) == (True, 2, [(2, 3, "remembered")])

    assert together.counters == alone.counters
    for name, wanted in alone.weights.items():
        torch.testing.assert_close(together.weights[name], wanted, rtol=0, atol=TOLERANCE)
    for name in ("outer.phi", "outer.momentum", "inner.first"):
        torch.testing.assert_close(together.state[name], alone.state[name], rtol=0, atol=TOLERANCE)
