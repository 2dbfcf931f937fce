"""The image is built, the compose swarm comes up on a real engine, and a real Prometheus reads its loss fall.

Grafana is left out: what its panels ask is asked of a real Prometheus in `test_dashboard.py`.
"""

import json
import socket

import pytest

from tests.deploy.prometheus_api import Api, eventually
from tests.docker import engine
from tests.docker.compose_file import COMPOSE, peers

pytestmark = [pytest.mark.processes, pytest.mark.timeout(2400)]
STEADY = [each.name for each in peers() if "profiles" not in each.is_]
LOSSES = 'murmuration_loss_nats{job="murmuration"}'
FALL = 0.15
"""Nats: how fast it falls once Prometheus has seen every peer depends on the machine. Its noise is 0.03."""

ADDRESS = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
MIXED_BY_OTHERS = 'sum(murmuration_exchanges_total{instance!="founder:9464", result="done"})'


class Swarm:
    """The compose project of a test."""

    def __init__(self, folder):
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = str(free.getsockname()[1])
        self.api = Api(f"http://127.0.0.1:{self._port}")
        override = folder / "override.yaml"
        override.write_text(f"services: {{prometheus: {{image: {engine.build_prometheus()}}}}}\n")
        files = ["--file", str(COMPOSE), "--file", str(override)]
        self._compose = ["compose", "--project-name", "murmuration-test", *files]

    def __call__(self, *arguments):
        return engine.need(*self._compose, *arguments, timeout=300, PROMETHEUS_PORT=self._port)

    def status(self, name):
        return json.loads(self("exec", "-T", name, "peer", "status", "--json"))


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    engine.skip_without_engine()
    engine.build_image(tmp_path_factory.mktemp("image"))


def test_the_image_is_one_program_that_is_not_root(image):
    assert engine.need("run", "--rm", "murmuration", "--version").startswith("peer ")
    assert engine.need("run", "--rm", "--entrypoint", "id", "murmuration", "-u").strip() == "10001"
    size = int(engine.need("image", "inspect", "--format", "{{.Size}}", "murmuration"))
    assert size < 1.5e9, "of which torch is 0.6 GB"


@pytest.fixture
def swarm(image, tmp_path):
    made = Swarm(tmp_path)
    made("down", "--volumes")
    try:
        made("up", "--detach", "--no-build", "switch", "prometheus", *STEADY)
        yield made
    finally:
        made("--profile", "chaos", "down", "--volumes", "--timeout", "5")


def test_a_swarm_of_containers_learns_and_goes_on_without_its_founder(swarm):
    api = swarm.api
    eventually("all peers train", lambda: api.value(f"count({LOSSES})") == len(STEADY), patience=300)
    first = api.value(f"avg({LOSSES})")
    eventually("loss falls", lambda: api.value(f"avg({LOSSES})") < first - FALL, patience=300)
    mixed = 'count(murmuration_exchanges_total{result="done"} > 0)'
    eventually("all peers mix", lambda: api.value(mixed) == len(STEADY), patience=300)

    for name in STEADY:
        told = swarm.status(name)
        (port,) = [each.port for each in peers() if each.name == name]
        switch = engine.need("inspect", "--format", ADDRESS, "murmuration-test-switch-1").strip()
        addresses = [address.partition("/p2p/")[0] for address in told["addresses"]]
        assert addresses == [f"/ip4/{switch}/tcp/{port}"], "there is no way round the lines"

    swarm("kill", "--signal", "KILL", "founder")
    eventually("the founder is missed", lambda: api.value('up{instance="founder:9464"}') == 0, patience=60)
    before = api.value(MIXED_BY_OTHERS)
    eventually("they go on", lambda: api.value(MIXED_BY_OTHERS) > before + 2 * len(STEADY), patience=300)
    swarm("start", "founder")
    back = 'murmuration_exchanges_total{instance="founder:9464", result="done"} > 0'
    eventually("the founder is back, and mixes", lambda: api.query(back), patience=300)
