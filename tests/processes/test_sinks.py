"""A real daemon with a sink that works and one that cannot: it trains, and says so once."""

import signal

import pytest

from tests.processes.support import family

pytestmark = [pytest.mark.processes, pytest.mark.timeout(300)]


def test_a_sink_that_fails_stops_neither_training_nor_the_other(tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    loader = pytest.importorskip("tensorboard.backend.event_processing.event_file_loader")
    # Nobody has logged in there, and nobody answers.
    for name, value in (
        ("HOME", str(tmp_path)),
        ("WANDB_BASE_URL", "http://127.0.0.1:9"),
        ("NETRC", "/dev/null"),
    ):
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    board = tmp_path / "board"
    with family(tmp_path) as members:
        peer = members.found("only", "--tensorboard", str(board), "--wandb", "project")
        failed = peer.wait_for("sink_failed")
        assert failed["sink"] == "Weights & Biases"
        peer.wait_for("share_ready", lambda told: told["outer_step"] >= 2)
        assert peer.end(signal.SIGTERM) == 0
        peer.drain()
    told = [event["event"] for event in peer.events]
    assert told.count("sink_failed") == 1
    assert told[-1] == "stopped"
    (file,) = board.iterdir()
    points = [
        (event.step, value.tag)
        for event in loader.EventFileLoader(str(file)).Load()
        for value in event.summary.value
    ]
    assert (peer.events[-1]["inner_step"], "loss") in points or points[-1][0] >= 100
    assert {"loss", "tokens_per_second", "learning_rate", "skips"} <= {tag for _, tag in points}
