"""`peer top` without a terminal, against a control socket without a daemon behind it."""

import json
import os

import msgspec
import pytest
from typer.testing import CliRunner

from peer.cli.main import app
from peer.daemon.home import Home
from peer.errors import Exit, NotRunningError
from protocol.control import Detail
from tests.peer.daemon.controls import DETAIL, serving, socket_folder


@pytest.fixture
def invoke(tmp_path):
    return lambda *arguments: CliRunner().invoke(app, ["top", *arguments, "--home", str(tmp_path / "home")])


@pytest.fixture
def daemon(tmp_path):
    with socket_folder() as folder, Home.open(tmp_path / "home") as home:
        (home.path / "runtime").write_bytes(os.fsencode(folder))
        with serving(folder / "control.sock"):
            yield


@pytest.mark.parametrize("options", [(), ("--once",), ("--plain",), ("--json",)])
def test_without_a_daemon_there_is_one_answer(invoke, options):
    done = invoke(*options)
    assert isinstance(done.exception, NotRunningError)
    assert done.exception.code == Exit.NOT_RUNNING
    assert done.output == ""


@pytest.mark.usefixtures("daemon")
def test_json_is_the_detail_and_nothing_else(invoke):
    done = invoke("--json")
    assert done.exit_code == 0
    (line,) = done.output.splitlines()
    assert msgspec.convert(json.loads(line), Detail) == DETAIL


@pytest.mark.usefixtures("daemon")
def test_once_shows_a_screen_and_ends(invoke):
    done = invoke("--once")
    assert done.exit_code == 0
    lines = done.output.splitlines()
    assert lines[0].strip().startswith("TRAINING")
    assert all(len(line) <= 80 for line in lines)
    assert "\x1b" not in done.output


@pytest.mark.usefixtures("daemon")
def test_once_and_plain_are_lines(invoke):
    done = invoke("--once", "--plain")
    assert done.exit_code == 0
    assert "state: training, for 12 min 5 s" in done.output.splitlines()
