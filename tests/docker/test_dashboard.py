"""`peer dashboard` where there is Docker and nothing else: it reads the peers, and is gone at the end."""

import os
import shutil
import signal
import socket
import subprocess
import sys

import pytest

from peer.errors import Exit
from tests.deploy.prometheus_api import Api, eventually
from tests.docker import engine
from tests.processes.support import family

pytestmark = [pytest.mark.processes, pytest.mark.timeout(900)]


@pytest.fixture
def docker_alone(tmp_path):
    """An environment whose PATH leads to Docker and to nothing else."""
    engine.skip_without_engine()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "docker").symlink_to(shutil.which("docker"))
    with engine.prometheus_by_its_name():
        yield dict(os.environ, PATH=str(tmp_path / "bin"))


def _containers():
    told = engine.need("ps", "--all", "--filter", "name=murmuration-dashboard-", "--format", "{{.Names}}")
    return set(told.split())


def _free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.mark.parametrize("frozen", [False, True], ids=["it stops when told", "it does not"])
def test_a_container_reads_the_peers_and_is_gone_at_the_end(frozen, tmp_path, docker_alone):
    before, port = _containers(), _free_port()
    command = [sys.executable, "-m", "peer", "dashboard", "--folder", str(tmp_path / "dashboard")]
    command += ["--prometheus-port", str(port)]
    api = Api(f"http://127.0.0.1:{port}")
    with family(tmp_path) as members:
        served = members.found("first").wait_for("metrics_served")["url"].split("/")[2]
        dashboard = subprocess.Popen(command, env=docker_alone, stdout=subprocess.PIPE, text=True)
        try:
            assert dashboard.stdout.readline() == f"Prometheus at {api.url}\n"
            up = f'up{{instance="{served}"}}'
            eventually("Prometheus reads the peer", lambda: api.value(up) == 1, patience=60)
            started = _containers() - before
            assert started
            if frozen:
                engine.need("kill", "--signal", "STOP", *started)
        finally:
            dashboard.send_signal(signal.SIGINT)
            code = dashboard.wait(90)
            dashboard.stdout.close()
    assert code == Exit.INTERRUPTED
    eventually("no container stays", lambda: _containers() <= before, patience=30)
