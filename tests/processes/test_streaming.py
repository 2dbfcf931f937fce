"""A peer trains on a mixture with a data set of a Hub, is cut off, is killed, and goes on where it was."""

import json
import signal

import pytest

from tests.hub import COMMIT, hub
from tests.processes.support import family, small_run
from tests.row_files import write_parquet

pytest.importorskip("datasets", reason="the extra `hf` is not installed")
pytestmark = [pytest.mark.processes, pytest.mark.timeout(240)]

RUN = small_run(preset="solo") + (
    """
[data]
shards = 4
mixture = [
    {source = "hf", dataset = "org/rows", shuffle = 16, weight = 0.7},
    {source = "shakespeare", weight = 0.3},
]
"""
)
HALF, WHOLE = 40, 400
BUSY = 503
STREAMED = [
    [f"row {row} of file {file}: a few words that a model may learn" for row in range(40)]
    for file in range(60)
]
"""Files of less than a block each: there is always one still to come."""


def test_a_peer_waits_for_its_data_and_after_a_kill_goes_on_at_the_right_place(tmp_path, monkeypatch):
    write_parquet(tmp_path / "rows", STREAMED)
    with hub("org/rows", tmp_path / "rows") as served, family(tmp_path) as members:
        for name, value in {
            "HF_ENDPOINT": served.url,
            "HF_HOME": str(tmp_path / "hf"),
            "HF_HUB_OFFLINE": "0",
        }.items():
            monkeypatch.setenv(name, value)
        members.run_file.write_text(RUN)

        def go(name, steps, *arguments):
            return members.start(name, "--steps", str(steps), "--shard", "1", *arguments)

        founding = ("--run", str(members.run_file))
        undisturbed, first = go("undisturbed", WHOLE, *founding), go("disturbed", HALF, *founding)
        for peer in (undisturbed, first):
            peer.wait_for("stopped")
            assert peer.wait() == 0
        counted = sum(_month(tmp_path / name) for name in ("undisturbed", "disturbed"))
        # What was on its way when a trainer ended is not told: a block of each peer's at the most.
        assert served.served < 2 * counted, "what is streamed counts in the month"
        assert counted < 2 * served.served, "and counts once"

        served.status = BUSY
        second = go("disturbed", WHOLE)
        paused = second.wait_for("paused")
        assert paused["kind"] == "stream"
        assert paused["inner_step"] is None
        assert (
            f"waiting for data: the data set org/rows cannot be reached: Server error '{BUSY}"
            in paused["reason"]
        )
        served.status = None
        assert second.wait_for("trainer_started")["inner_step"] == HALF
        served.status = BUSY
        paused = second.wait_for("paused", lambda told: told["inner_step"] is not None)
        assert HALF <= paused["inner_step"] < WHOLE
        assert second.end(signal.SIGKILL) == -signal.SIGKILL

        served.status = None
        third = go("disturbed", WHOLE)
        assert third.wait_for("trainer_started")["inner_step"] == HALF
        assert third.wait_for("stopped")["inner_step"] == WHOLE
        assert third.wait() == 0
    _compare(tmp_path / "undisturbed", tmp_path / "disturbed")


def _month(home):
    return sum(json.loads((home / "traffic.json").read_bytes()).values())


def _compare(undisturbed, disturbed):
    import torch

    from peer.trainer import checkpoint
    from tests.processes.losses import manifest_of

    dataset = manifest_of(disturbed).data.parts[0].dataset
    assert (dataset.name, dataset.revision) == ("org/rows", COMMIT)
    ends = [
        checkpoint.read_weights(home / "checkpoints" / f"step-{WHOLE:08d}")
        for home in (undisturbed, disturbed)
    ]
    assert ends[0].keys() == ends[1].keys()
    assert all(torch.equal(tensor, ends[1][name]) for name, tensor in ends[0].items())
