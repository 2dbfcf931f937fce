"""`peer pause`, `peer resume`, `peer finish`, against a control socket without a daemon behind it."""

import json
import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from peer.cli.main import app
from peer.daemon.home import Home
from peer.daemon.last_status import write_last_status
from peer.errors import Exit, NotRunningError, UsageError
from protocol.codec import encode
from protocol.control import Month, Pause
from tests.peer.daemon.controls import STATUS, serving, socket_folder, status
from tests.peer.daemon.test_client import DAEMON

BLENDER = Pause(kind="gpu", reason="GPU 0 is used by blender (pid 4242)", since=1.0)
PAUSED = status(state="paused", pause=BLENDER)


@pytest.fixture
def invoke(tmp_path):
    """Run a command on the home of this test."""
    return lambda *arguments: CliRunner().invoke(app, [*arguments, "--home", str(tmp_path / "home")])


@pytest.fixture
def daemon(tmp_path):
    """Serve the home's control socket; what is asked for is noted."""
    with socket_folder() as folder, Home.open(tmp_path / "home") as home:
        (home.path / "runtime").write_bytes(os.fsencode(folder))
        yield lambda told, asked: serving(folder / "control.sock", lambda: told, asked=asked.append)


@pytest.mark.parametrize(
    ("told", "printed"),
    [(PAUSED, "paused: GPU 0 is used by blender (pid 4242)\n"), (STATUS, "training\n")],
    ids=["still paused", "training"],
)
@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["pause"], "pause ''"),
        (["pause", "--reason", "rendering until six"], "pause 'rendering until six'"),
        (["resume"], "resume"),
    ],
)
def test_a_command_is_passed_on_and_the_state_after_it_told(invoke, daemon, told, printed, arguments, wanted):
    asked = []
    with daemon(told, asked):
        done = invoke(*arguments)
    assert (done.exit_code, done.output, asked) == (0, printed, [wanted])


@pytest.mark.parametrize("command", ["pause", "resume"])
def test_json_is_the_status(invoke, daemon, command):
    with daemon(PAUSED, []):
        told = json.loads(invoke(command, "--json").output)
    assert (told["state"], told["pause"]["kind"]) == ("paused", "gpu")


def test_a_reason_that_is_too_long_is_refused_before_anybody_is_asked(invoke):
    done = invoke("pause", "--reason", "x" * 201)
    assert isinstance(done.exception, UsageError)


@pytest.mark.parametrize("command", ["pause", "resume", "finish"])
def test_without_a_daemon_there_is_one_answer(invoke, command):
    done = invoke(command)
    assert isinstance(done.exception, NotRunningError)
    assert done.exception.code == Exit.NOT_RUNNING


@pytest.mark.parametrize("as_json", [False, True])
def test_finish_returns_once_the_daemon_is_gone(invoke, tmp_path, as_json):
    with socket_folder() as folder:
        (tmp_path / "home").mkdir()
        (tmp_path / "home" / "runtime").write_bytes(os.fsencode(folder))
        write_last_status(tmp_path / "home", STATUS)
        command = [sys.executable, "-c", DAEMON, str(folder / "control.sock"), encode(STATUS).hex()]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as daemon:
            assert daemon.stdout.readline() == "serving\n"
            done = invoke("finish", *(["--json"] if as_json else []))
            assert daemon.wait(10) == 0
    assert done.exit_code == 0
    if as_json:
        assert json.loads(done.output)["inner_step"] == STATUS.inner_step
    else:
        assert done.output == "finished at step 120\n"


def test_the_status_tells_every_reason_and_what_is_not_watched(invoke, daemon):
    battery = Pause(kind="battery", reason="on battery", since=1.0)
    told = status(
        state="paused",
        pause=BLENDER,
        pauses=(BLENDER, battery),
        unwatched=("max_power: [nobody] tells",),
        month=Month(name="November", used=10**9, limit=5e10),
    )
    with daemon(told, []):
        lines = [" ".join(line.split()) for line in invoke("status").output.splitlines()]
    at = lines.index("state paused: GPU 0 is used by blender (pid 4242)")
    assert lines[at + 1 : at + 4] == [
        "paused: on battery", "unwatched max_power: [nobody] tells",
        "this month 1.0 GB of 50.0 GB in November",
    ]  # fmt: skip


def test_the_status_of_a_paused_peer_says_why(invoke, daemon):
    with daemon(status(state="paused", pause=Pause(kind="hand", reason="[red]", since=1.0)), []):
        assert "paused: [red]" in invoke("status").output
