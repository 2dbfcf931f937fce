"""`peer dashboard` on real peers with a real Prometheus: every panel of every board has data."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys

import pytest

from deploy.grafana.__main__ import BOARDS
from peer.errors import Exit
from tests.deploy.prometheus_api import Api, eventually
from tests.processes.support import family

pytestmark = [pytest.mark.processes, pytest.mark.timeout(400)]


def _command(folder, port):
    command = [sys.executable, "-m", "peer", "dashboard", "--folder", str(folder)]
    return [*command, "--prometheus-port", str(port)]


def _ports(count):
    servers = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    found = [server.getsockname()[1] for server in servers]
    for server in servers:
        server.close()
    return found


@pytest.fixture
def prometheus_alone(tmp_path):
    """An environment whose PATH leads to Prometheus and to nothing else."""
    found = shutil.which("prometheus")
    if found is None:
        pytest.skip("prometheus is not installed (apt install prometheus)")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "prometheus").symlink_to(found)
    return dict(os.environ, PATH=str(tmp_path / "bin"))


def test_every_panel_of_a_real_swarm_has_data(tmp_path, prometheus_alone):
    (port,) = _ports(1)
    api = Api(f"http://127.0.0.1:{port}")
    with family(tmp_path) as members:
        first = members.found("first")
        address = first.address
        peers = [first, *(members.start(name, "--bootstrap", address) for name in ("second", "third"))]
        served = {peer.wait_for("metrics_served")["url"].split("/")[2] for peer in peers}
        dashboard = subprocess.Popen(
            [*_command(tmp_path / "dashboard", port), "--json"],
            env=prometheus_alone,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            told = json.loads(dashboard.stdout.readline())
            assert told == {"grafana": None, "prometheus": api.url, "folder": str(tmp_path / "dashboard")}
            assert dashboard.stderr.readline() == f"Prometheus at {api.url}\n"
            assert "Grafana is not installed" in dashboard.stderr.readline()
            run_id = first.status()["run_id"]
            done = f'murmuration_exchanges_total{{instance=~"{"|".join(served)}", result="done"}}'
            eventually("three peers mix", lambda: api.value(f"count({done} > 0)") == 3, patience=120)
            for board in BOARDS.values():
                for panel in board.panels:
                    for query in panel.queries:
                        _need_data(api, panel, query, run_id, min(served))
        finally:
            dashboard.send_signal(signal.SIGINT)
            code = dashboard.wait(30)
            assert dashboard.stdout.read() == ""
            dashboard.stdout.close()
            dashboard.stderr.close()
    assert code == Exit.INTERRUPTED
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port)).close()


def _need_data(api, panel, query, run_id, instance):
    expression = query.expression.replace("$run", run_id).replace("$peer", instance)
    expression = expression.replace("$__rate_interval", "1m")
    eventually(f"{panel.title}: {expression}", lambda: api.query(expression), patience=60)


def test_without_either_program_one_line_says_what_to_install(tmp_path):
    env = dict(os.environ, PATH=str(tmp_path))
    command = _command(tmp_path / "dashboard", 9090)
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == Exit.DASHBOARD_MISSING
    assert done.stderr.count("\n") == 1
    assert "apt install prometheus" in done.stderr


def test_a_port_that_is_taken_is_named_with_its_option(tmp_path, prometheus_alone):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = _command(tmp_path / "dashboard", port)
        done = subprocess.run(command, env=prometheus_alone, capture_output=True, text=True, check=False)
    assert done.returncode == Exit.DASHBOARD_FAILED
    assert f"Port {port}" in done.stderr
    assert "--prometheus-port" in done.stderr
