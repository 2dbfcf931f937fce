"""The compose file, without a Docker: what it starts is what there is, and nothing has a right too many."""

import re
import shutil

import pytest
import typer
import yaml

from peer.cli.main import app
from peer.config.run_file import read_run_file
from peer.links.houses import house
from peer.local.dashboard.programs import GRAFANA_IMAGE, PROMETHEUS_IMAGE
from protocol.rules import violations
from tests.docker import engine
from tests.docker.compose_file import COMPOSE, FOUNDER, ROOT, peers, read, services

DOCKER = ROOT / "docker"
DOCKERFILE = (DOCKER / "Dockerfile").read_text()
PEERS = {each.name: each for each in peers()}
HOUSES = {each.name: each for each in map(house, services()["switch"].is_["command"])}


@pytest.mark.parametrize("name", PEERS)
def test_each_peer_says_what_the_command_line_takes_and_where_the_switch_stands_for_it(name, tmp_path):
    arguments = PEERS[name].peer_arguments(tmp_path)
    assert arguments.pop(0) == "start"
    start = vars(typer.main.get_command(app))["commands"]["start"]
    taken = start.make_context("peer start", arguments).params
    port = PEERS[name].port
    assert HOUSES[name].ports == (port, taken["bulk_port"])
    assert list(taken["listen"]) == [f"/ip4/0.0.0.0/tcp/{port}"]
    assert list(taken["announce"]) == [f"/ip4/192.0.2.1/tcp/{port}"], (
        "others reach it through the switch alone"
    )
    assert taken["metrics_port"] == 9464
    if name == "founder":
        shared = tmp_path / "swarm" / "founder"
        assert shared.read_text().strip() == f"/dns4/switch/tcp/{port}/p2p/{FOUNDER}"
    else:
        assert list(taken["bootstrap"]) == [f"/dns4/switch/tcp/4001/p2p/{FOUNDER}"]


def test_there_is_a_founder_with_six_volunteers_and_each_peer_has_a_house_of_its_own():
    started = [name for name, each in PEERS.items() if "profiles" not in each.is_]
    assert started == ["founder", *(f"volunteer-{number}" for number in range(1, 7))]
    assert set(HOUSES) == set(PEERS)
    ports = [port for each in HOUSES.values() for port in each.ports]
    assert len(ports) == len(set(ports))
    homes = [each.is_["volumes"][0].partition(":")[0] for each in PEERS.values()]
    assert homes == list(PEERS), "a home for each, which outlives its container"


def test_what_it_trains_is_a_run():
    assert not violations(read_run_file(DOCKER / "run.toml").manifest(bytes(32)))


def test_nobody_is_root_or_has_a_right_too_many():
    (user,) = re.findall(r"^USER (\d+):\d+$", DOCKERFILE, re.MULTILINE)
    assert int(user) > 0
    for name, each in services().items():
        assert not set(each.is_) & {"privileged", "cap_add", "user", "devices", "network_mode"}, name
        assert "docker.sock" not in str(each.is_), name
        assert each.is_.get("pid", "service:switch") == "service:switch", name
        if each.ours:
            assert each.is_["cap_drop"] == ["ALL"], name
            assert each.is_["security_opt"] == ["no-new-privileges:true"], name
            assert each.is_["read_only"], name


def test_only_the_programs_that_people_open_are_published_and_to_this_machine_alone():
    published = {name: each.is_["ports"] for name, each in services().items() if "ports" in each.is_}
    assert set(published) == {"prometheus", "grafana"}
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)


def test_volumes_are_declared_and_files_are_there():
    declared = set(read()["volumes"])
    for name, each in services().items():
        for source in (text.partition(":")[0] for text in each.is_.get("volumes", ())):
            assert (DOCKER / source).exists() if source.startswith(".") else source in declared, (
                name,
                source,
            )


def test_the_programs_are_those_of_peer_dashboard_on_the_same_files():
    prometheus, grafana = services()["prometheus"], services()["grafana"]
    assert (prometheus.is_["image"], grafana.is_["image"]) == (PROMETHEUS_IMAGE, GRAFANA_IMAGE)
    mounted = [*prometheus.is_["volumes"], *grafana.is_["volumes"]]
    for shared in ("prometheus/rules", "grafana/dashboards", "grafana/provisioning"):
        assert any(text.startswith(f"../deploy/{shared}:") for text in mounted), shared
    asked = {
        name
        for path in (ROOT / "deploy" / "grafana" / "provisioning").rglob("*.yml")
        for name in re.findall(r"\$(\w+)", path.read_text())
    }
    assert asked <= set(grafana.is_["environment"])


def test_prometheus_reads_every_peer_that_is_always_there():
    (group,) = yaml.safe_load((DOCKER / "targets.yml").read_text())
    assert group["targets"] == [f"{name}:9464" for name, each in PEERS.items() if "profiles" not in each.is_]


def test_the_builder_is_given_all_that_the_wheel_is_made_of():
    given = (DOCKER / "Dockerfile.dockerignore").read_text().split()
    pyproject = (ROOT / "pyproject.toml").read_text()
    included = re.findall(r'^"(deploy/[^"]+)" = "peer/', pyproject, re.MULTILINE)
    for needed in (
        "peer",
        "protocol",
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "deploy/fastecdsa",
        *included,
    ):
        assert f"!{needed}" in given
        assert (ROOT / needed).exists()


def test_compose_itself_reads_it():
    if shutil.which("docker") is None or engine.docker("compose", "version").returncode:
        pytest.skip("there is no docker with its plug-in compose")
    told = engine.need("compose", "--file", str(COMPOSE), "--profile", "chaos", "config", "--services")
    assert set(told.split()) == set(services())
