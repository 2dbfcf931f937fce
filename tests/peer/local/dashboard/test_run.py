"""How a container of the dashboard is removed."""

import subprocess
import sys

import pytest

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
