"""`peer events` over a real log."""

import json
import subprocess
import sys
import time

import pytest
from typer.testing import CliRunner

from peer.cli.events import LAST, since
from peer.cli.main import app
from peer.errors import HomeError, UsageError
from peer.telemetry.event_file import EventFile
from peer.telemetry.events import PeerSeen, Skipped


@pytest.fixture
def home(tmp_path):
    with EventFile(tmp_path / "events.log") as log:
        for step in range(LAST + 10):
            log.append(Skipped(time=1000.0 + step, outer_step=step, reason="everybody is busy"))
        log.append(PeerSeen(peer="12D3"))
    return tmp_path


@pytest.fixture
def invoke(home):
    return lambda *arguments: CliRunner().invoke(app, ["events", *arguments, "--home", str(home)])


def test_the_last_events_are_told_in_words(invoke):
    lines = invoke().output.splitlines()
    assert len(lines) == LAST
    assert lines[-1].endswith(" peer 12D3 is here")
    assert lines[-2].startswith("1970-01-01 ")
    assert lines[-2].endswith(f"outer step {LAST + 9} skipped its mix: everybody is busy")


def test_all_of_a_time_are_told(invoke):
    assert len(invoke("--since", "1970-01-01").output.splitlines()) == LAST + 11
    (line,) = invoke("--since", "1h").output.splitlines()
    assert line.endswith("peer 12D3 is here")


def test_json_is_an_object_a_line(invoke):
    told = [json.loads(line) for line in invoke("--json").output.splitlines()]
    assert told[-1]["event"] == "peer_seen"
    assert len(told) == LAST


def test_files_hold_the_whole_log_unless_a_time_is_named(invoke, tmp_path):
    file = tmp_path / "out.jsonl"
    assert invoke("--jsonl", str(file)).output == f"{LAST + 11} events written to {file}\n"
    assert invoke("--jsonl", str(file), "--since", "1h").output == f"1 events written to {file}\n"
    assert json.loads(file.read_text())["event"] == "peer_seen"


def test_a_home_without_a_log_has_no_events(tmp_path):
    done = CliRunner().invoke(app, ["events", "--home", str(tmp_path / "new")])
    assert isinstance(done.exception, HomeError)


def test_a_file_cannot_be_followed(invoke, tmp_path):
    assert isinstance(invoke("--follow", "--jsonl", str(tmp_path / "x")).exception, UsageError)


def test_a_log_is_followed(home):
    command = [
        sys.executable,
        "-m",
        "peer",
        "events",
        "--home",
        str(home),
        "--follow",
        "--since",
        "1h",
        "--json",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert json.loads(process.stdout.readline())["event"] == "peer_seen"
            with EventFile(home / "events.log") as log:
                log.append(Skipped(outer_step=7, reason="new"))
            assert json.loads(process.stdout.readline())["reason"] == "new"
        finally:
            process.kill()


@pytest.mark.parametrize(("text", "ago"), [("30s", 30), ("10m", 600), ("2h", 7200), ("3d", 259_200)])
def test_times_that_are_ago(text, ago):
    assert since(text) == pytest.approx(time.time() - ago, abs=5)


@pytest.mark.parametrize("text", ["", "10", "h", "yesterday", "2026-13-01", "99999999999d"])
def test_times_that_are_none_are_refused_with_how_to_write_one(text):
    with pytest.raises(UsageError, match="is no time"):
        since(text)
