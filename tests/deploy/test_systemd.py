"""The unit is valid by systemd's own tool, confined, and starts what there is."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from peer.cli.main import app
from peer.errors import Exit

UNIT = Path(__file__).parents[2] / "deploy" / "systemd" / "murmuration@.service"
TEXT = UNIT.read_text()
TOOL = shutil.which("systemd-analyze")
PROGRAM = "/opt/murmuration/bin/peer"
OPTIONS = "--bootstrap /ip4/192.0.2.7/tcp/4001/p2p/12D3KooW... --listen /ip4/0.0.0.0/tcp/4001"

MOST_EXPOSED = 25
"""Ten times what `systemd-analyze security` may give: 0 is a prison, 96 a service that says nothing of it."""


def _setting(name):
    return re.findall(rf"^{name}=(.*)$", TEXT, re.MULTILINE)


def _analyze(tmp_path, *arguments):
    if TOOL is None:
        pytest.skip("systemd-analyze is not installed (apt install systemd)")
    unit = tmp_path / "murmuration@one.service"
    # It has to be there; what it is called with, another test sees to.
    unit.write_text(TEXT.replace(PROGRAM, sys.executable))
    command = [TOOL, *arguments, str(unit)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_systemd_finds_nothing_to_say_about_it(tmp_path):
    done = _analyze(tmp_path, "verify")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_it_is_confined(tmp_path):
    done = _analyze(tmp_path, "security", "--offline=true", f"--threshold={MOST_EXPOSED}", "--no-pager")
    if "unrecognized option" in done.stderr:
        pytest.skip("this systemd cannot judge a unit that is not loaded (before 250)")
    assert done.returncode == 0, done.stdout[-500:] + done.stderr


def test_it_starts_what_the_command_line_takes():
    (line,) = _setting("ExecStart")
    assert f"#     PEER_OPTIONS={OPTIONS}\n" in TEXT, "the example"
    words = shlex.split(line.replace("%S", "/var/lib").replace("%i", "one").replace("$PEER_OPTIONS", OPTIONS))
    assert words[:2] == [PROGRAM, "start"]
    start = vars(typer.main.get_command(app))["commands"]["start"]
    assert start.make_context("peer start", words[2:]).params["home"] == Path("/var/lib/murmuration/one")


def test_it_finishes_in_the_home_in_which_it_starts():
    (line,) = _setting("ExecStop")
    words = shlex.split(line.replace("%S", "/var/lib").replace("%i", "one"))
    assert words[:2] == [f"-{PROGRAM}", "finish"]
    finish = vars(typer.main.get_command(app))["commands"]["finish"]
    assert finish.make_context("peer finish", words[2:]).params["home"] == Path("/var/lib/murmuration/one")


def test_data_under_home_can_be_shown_to_it():
    # Whatever is bound below a path that is inaccessible, systemd drops without a word: systemd.exec(5).
    assert _setting("ProtectHome") == ["tmpfs"]


def test_it_is_not_started_again_after_a_mistake_but_after_what_time_mends():
    (codes,) = _setting("RestartPreventExitStatus")
    prevented = {Exit(int(code)) for code in codes.split()}
    assert {Exit.USAGE, Exit.RUN_FILE, Exit.IDENTITY_INVALID, Exit.DATA_INVALID} < prevented
    mends = {Exit.INTERNAL, Exit.BOOTSTRAP_UNREACHABLE, Exit.LISTEN_FAILED, Exit.HOME_IN_USE}
    assert not prevented & {*mends, Exit.DEVICE_UNAVAILABLE}
