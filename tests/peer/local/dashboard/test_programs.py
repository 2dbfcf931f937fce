"""What is started, by what is installed."""

from pathlib import Path

import pytest

from peer.local.dashboard import programs
from peer.local.dashboard.programs import grafana, prometheus

FOLDER = Path("/home/me/dashboard")
SOURCE = "http://127.0.0.1:9090"


def having(*names):
    return lambda name: f"/bin/{name}" if name in names else None


@pytest.fixture(autouse=True)
def grafana_home(tmp_path, monkeypatch):
    monkeypatch.setattr(programs, "GRAFANA_HOMES", (tmp_path,))
    return tmp_path


def test_an_installed_prometheus_comes_before_a_container():
    found = prometheus(FOLDER, 9091, having("prometheus", "docker"))
    assert found is not None
    assert found.command == (
        "/bin/prometheus",
        "--config.file=/home/me/dashboard/prometheus.yml",
        "--storage.tsdb.path=/home/me/dashboard/prometheus-data",
        "--web.listen-address=127.0.0.1:9091",
    )
    assert found.ready == "http://127.0.0.1:9091/-/ready"


@pytest.mark.parametrize("engine", ["docker", "podman"])
def test_a_container_sees_what_the_host_sees(engine):
    found = prometheus(FOLDER, 9090, having(engine))
    assert found is not None
    image = found.command.index(programs.PROMETHEUS_IMAGE)
    settings = found.command[:image]
    assert settings[:3] == (f"/bin/{engine}", "run", "--rm")
    assert settings[settings.index("--network") + 1] == "host"
    assert f"{FOLDER}:{FOLDER}" in settings
    assert found.command[image + 1] == "--config.file=/home/me/dashboard/prometheus.yml"


def test_each_container_is_removed_by_a_name_of_its_own():
    found = [prometheus(FOLDER, 9090, having("docker")) for _ in range(2)]
    found.append(grafana(FOLDER, 3000, SOURCE, having("docker")))
    names = [each.command[each.command.index("--name") + 1] for each in found]
    assert len(set(names)) == 3
    assert [each.removal for each in found] == [("/bin/docker", "rm", "--force", name) for name in names]


def test_what_is_installed_leaves_no_container():
    assert prometheus(FOLDER, 9090, having("prometheus", "docker")).removal == ()


def test_nothing_is_started_where_nothing_is():
    assert prometheus(FOLDER, 9090, having()) is None
    assert grafana(FOLDER, 3000, SOURCE, having()) is None


def test_grafana_of_old_and_new_packages(grafana_home):
    new = grafana(FOLDER, 3000, SOURCE, having("grafana", "grafana-server"))
    old = grafana(FOLDER, 3000, SOURCE, having("grafana-server"))
    assert new is not None
    assert old is not None
    assert new.command == ("/bin/grafana", "server", "--homepath", str(grafana_home))
    assert old.command == ("/bin/grafana-server", "--homepath", str(grafana_home))


def test_grafana_reads_our_boards_without_a_login_and_on_loopback_alone():
    found = grafana(FOLDER, 3001, SOURCE, having("docker"))
    assert found is not None
    wanted = {
        "PROMETHEUS_URL": SOURCE,
        "DASHBOARDS": "/home/me/dashboard/dashboards",
        "GF_SERVER_HTTP_ADDR": "127.0.0.1",
        "GF_SERVER_HTTP_PORT": "3001",
        "GF_AUTH_ANONYMOUS_ENABLED": "true",
    }
    assert wanted.items() <= found.environment.items()
    assert all(f"{name}={value}" in found.command for name, value in wanted.items())
