"""`peer id`, `peer status`, `peer stop`, against a control socket without a daemon behind it."""

import io
import json
import os
import subprocess
import sys

import msgspec
import pytest
from rich.console import Console
from typer.testing import CliRunner

from peer.cli.inspect import _text
from peer.cli.main import app
from peer.daemon.home import Home
from peer.daemon.last_status import write_last_status
from peer.errors import Exit, HomeError, IdentityError, NotRunningError
from protocol.codec import encode
from protocol.control import Joining, Status
from tests.peer.daemon.controls import STATUS, serving, socket_folder, status
from tests.peer.daemon.test_client import DAEMON


@pytest.fixture
def invoke(tmp_path):
    """Run a command on the home of this test."""
    return lambda *arguments: CliRunner().invoke(app, [*arguments, "--home", str(tmp_path / "home")])


@pytest.fixture
def daemon(tmp_path):
    """Serve the home's control socket."""
    with socket_folder() as folder, Home.open(tmp_path / "home") as home:
        (home.path / "runtime").write_bytes(os.fsencode(folder))
        yield lambda tell=lambda: STATUS: serving(folder / "control.sock", tell)


# ---- id


def test_the_id_of_a_new_home_is_made_and_stays(invoke):
    first, second = invoke("id"), invoke("id")
    assert first.exit_code == 0
    assert first.output == second.output
    assert first.output.startswith("12D3KooW")
    assert len(first.output.splitlines()) == 1


def test_the_id_is_told_while_a_daemon_holds_the_home(invoke, tmp_path):
    made = invoke("id").output
    with Home.open(tmp_path / "home"):
        assert invoke("id").output == made


def test_a_damaged_identity_is_not_replaced(invoke, tmp_path):
    invoke("id")
    (tmp_path / "home" / "identity.key").write_text("damaged")
    assert isinstance(invoke("id").exception, IdentityError)


def test_a_file_is_no_home(invoke, tmp_path):
    (tmp_path / "home").write_text("")
    done = invoke("id")
    assert isinstance(done.exception, HomeError)
    assert done.exception.code == Exit.HOME_UNUSABLE


# ---- without a daemon


@pytest.mark.parametrize("command", [["status"], ["status", "--json"], ["stop"], ["stop", "--json"]])
@pytest.mark.parametrize("left", ["no home", "a home", "a pointer"])
def test_where_no_daemon_runs_there_is_one_answer(invoke, tmp_path, command, left):
    if left != "no home":
        (tmp_path / "home").mkdir()
    if left == "a pointer":
        (tmp_path / "home" / "runtime").write_bytes(os.fsencode(tmp_path))
    done = invoke(*command)
    assert isinstance(done.exception, NotRunningError)
    assert done.exception.code == Exit.NOT_RUNNING
    assert done.output == ""


# ---- with one


def test_json_is_the_status_and_nothing_else(invoke, daemon):
    with daemon():
        done = invoke("status", "--json")
    assert done.exit_code == 0
    assert len(done.output.splitlines()) == 1
    told = json.loads(done.output)
    assert msgspec.convert(told, Status) == STATUS
    assert set(told) - {"type"} == set(Status.__struct_fields__)


def test_without_json_a_person_reads_it(invoke, daemon):
    with daemon():
        done = invoke("status")
    assert done.exit_code == 0
    for words in (
        "training",
        "tiny",
        "2.500 nats a token",
        "12,346 tokens/s",
        "122,880 tokens",
        "2.0 MB out",
    ):
        assert words in done.output


def test_a_tasks_examples_are_counted(invoke, daemon):
    with daemon(lambda: status(task="shapes")):
        told = invoke("status").output
    assert "12,346 examples/s" in told
    assert "nats" not in told


def test_before_the_first_step_there_is_no_loss(invoke, daemon):
    with daemon(lambda: status(loss=None, metrics=None, state="joining")):
        shown = invoke("status").output.splitlines()
    lines = {words[0]: words[1:] for line in shown if (words := line.split())}
    assert (lines["loss"], lines["metrics"], lines["state"]) == (["-"], ["-"], ["joining"])


def test_the_status_says_how_far_it_is_behind(invoke, daemon):
    with daemon(lambda: status(state="catching up", behind=1234)):
        assert "catching up: 1,234 outer steps behind" in invoke("status").output


def test_the_status_says_why_it_stayed_behind(invoke, daemon):
    with daemon(lambda: status(state="training", stayed_behind="the disk is full")):
        assert "left behind by others: the disk is full" in invoke("status").output


def test_a_newcomer_shows_how_far_its_state_is(invoke, daemon):
    now = Joining(size=100_000_000, received=25_000_000, rate=2.5e6, seconds_left=30.0, donors=3)
    with daemon(lambda: status(state="joining", joining=now)):
        shown = " ".join(invoke("status").output.split())
        as_json = invoke("status", "--json").output
    assert "25%, 25.0 MB of 100.0 MB, 2.5 MB/s, 30.0 s left; from 3 donors" in shown
    assert '"received":25000000' in as_json


@pytest.mark.parametrize("as_json", [False, True], ids=["words", "json"])
def test_stop_returns_once_the_daemon_is_gone(invoke, tmp_path, as_json):
    with socket_folder() as folder:
        (tmp_path / "home").mkdir()
        write_last_status(tmp_path / "home", STATUS)
        (tmp_path / "home" / "runtime").write_bytes(os.fsencode(folder))
        command = [sys.executable, "-c", DAEMON, str(folder / "control.sock"), encode(STATUS).hex()]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as daemon:
            assert daemon.stdout.readline() == "serving\n"
            done = invoke("stop", "--json") if as_json else invoke("stop")
            assert daemon.wait(10) == 0
    assert done.exit_code == 0
    if as_json:
        assert msgspec.json.decode(done.output, type=Status) == STATUS
    else:
        assert done.output == "stopped\n"


def test_stop_asks_and_a_daemon_that_stays_is_named(invoke, daemon, monkeypatch):
    monkeypatch.setattr("peer.daemon.client.LEAVING", 0.05)
    asked = []
    with daemon(lambda: asked.append("status") or STATUS):
        done = invoke("stop")
    assert asked
    assert isinstance(done.exception, NotRunningError)
    assert "stopped" not in done.output


# ---- the table


def _drawn(told, width, colours=None):
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=colours)
    console.print(_text(told), soft_wrap=True)
    return console.file.getvalue()


def test_being_alone_is_red():
    assert "\x1b[31mALONE for 2 min 5 s" in _drawn(status(alone_seconds=125.0), 100, "standard")
    assert "ALONE" not in _drawn(STATUS, 100)


def test_each_address_stands_whole_on_its_line(invoke, daemon):
    addresses = tuple(f"/ip4/203.0.113.{n}/tcp/4001/p2p/{STATUS.peer_id}" + "x" * 60 for n in (7, 8))
    with daemon(lambda: status(addresses=addresses)):
        lines = invoke("status").output.splitlines()
    first = next(at for at, line in enumerate(lines) if line.startswith("addresses"))
    assert [line.split()[-1] for line in lines[first : first + 2]] == list(addresses)
    assert lines == [line.rstrip() for line in lines]
