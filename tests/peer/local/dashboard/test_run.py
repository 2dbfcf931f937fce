"""How a container of the dashboard is removed, and what is said of a program that ended."""

import subprocess
import sys
from contextlib import ExitStack

import pytest

from peer.errors import DashboardError
from peer.local.dashboard import run
from peer.local.dashboard.programs import Program

LAST_WORDS = "peer: Grafana may run on. End it with: "


def contained(*removal):
    return Program("Grafana", (), "http://127.0.0.1:3000", "", removal=removal)


def test_ctrl_c_in_the_terminal_does_not_reach_who_removes_it(tmp_path, capsys):
    leads = "import os; print(os.getsid(0) == os.getpid())"
    run._remove(contained(sys.executable, "-c", leads), tmp_path)
    assert (tmp_path / "grafana.log").read_text() == "True\n"
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("error", [OSError, subprocess.TimeoutExpired("docker", 20), KeyboardInterrupt])
def test_what_may_run_on_is_told_with_how_to_end_it(tmp_path, monkeypatch, capsys, error):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(subprocess, "run", fail)
    if error is KeyboardInterrupt:
        with pytest.raises(KeyboardInterrupt):
            run._remove(contained("docker", "rm", "--force", "it"), tmp_path)
    else:
        run._remove(contained("docker", "rm", "--force", "it"), tmp_path)
    assert capsys.readouterr().err == f"{LAST_WORDS}docker rm --force it\n"


UNAVAILABLE = "docker: Cannot connect to the Docker daemon at unix:///var/run/docker.sock."
HELP = "Run 'docker run --help' for more information"
CALM = 'time=2026-11-28T16:00:00Z level=INFO msg="Starting" error=none'
FAULT = 'time=2026-11-28T16:00:00Z level=ERROR msg="Error loading config"'


@pytest.mark.parametrize(
    ("log", "said"),
    [
        (f"{UNAVAILABLE}\n\n{HELP}", UNAVAILABLE),
        (f"{CALM}\n{FAULT}\nlast", FAULT),
        ("first\nlast", "last"),
        ("", "nothing"),
    ],
    ids=["docker", "prometheus", "without a fault", "empty"],
)
def test_of_a_program_that_ended_the_line_that_tells_why_is_said(tmp_path, log, said):
    (tmp_path / "words").write_text(log)
    command = ("/bin/sh", "-c", 'cat "$0"; exit 125', str(tmp_path / "words"))
    program = Program("Grafana", command, "http://127.0.0.1:9", "http://127.0.0.1:9/ready")
    with ExitStack() as stack, pytest.raises(DashboardError) as caught:
        run._open(stack, program, tmp_path, print)
    assert caught.value.message == f"Grafana ended with code 125. It said: {said}"
