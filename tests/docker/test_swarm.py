"""The image is built, the compose swarm comes up on a real engine, and a real Prometheus reads its loss fall.

Grafana is left out: what its panels ask is asked of a real Prometheus in `tests/processes/test_dashboard.py`.
"""

from contextlib import contextmanager

import pytest

from tests.deploy.prometheus_api import eventually
from tests.docker import engine
from tests.docker.compose_file import peers
from tests.docker.swarm import FALL, LOSSES, STEADY, Swarm

pytestmark = [pytest.mark.processes, pytest.mark.timeout(2400)]

MIXED_BY_OTHERS = 'sum(murmuration_exchanges_total{instance!="founder:9464", result="done"})'
MIXED = 'sum(murmuration_exchanges_total{result="done"})'
MAYFLIES = [each.name for each in peers() if each.name not in STEADY]


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    engine.skip_without_engine()
    engine.build_image(tmp_path_factory.mktemp("image"))


@contextmanager
def _swarm(folder, **changes):
    made = Swarm(folder, "murmuration-test", changes)
    made.forget()
    try:
        yield made
    finally:
        made.forget()


def test_the_image_is_one_program_that_is_not_root(image):
    assert engine.need("run", "--rm", "murmuration", "--version").startswith("peer ")
    assert engine.need("run", "--rm", "--entrypoint", "id", "murmuration", "-u").strip() == "10001"
    size = int(engine.need("image", "inspect", "--format", "{{.Size}}", "murmuration"))
    assert size < 1.5e9, "of which torch is 0.6 GB"


def test_a_swarm_of_containers_learns_and_goes_on_without_its_founder(image, tmp_path):
    with _swarm(tmp_path) as swarm:
        swarm.up()
        api = swarm.api
        eventually("all peers train", lambda: api.value(f"count({LOSSES})") == len(STEADY), patience=300)
        first = api.value(f"avg({LOSSES})")
        eventually("loss falls", lambda: api.value(f"avg({LOSSES})") < first - FALL, patience=300)
        mixed = 'count(murmuration_exchanges_total{result="done"} > 0)'
        eventually("all peers mix", lambda: api.value(mixed) == len(STEADY), patience=300)

        for name in STEADY:
            told = swarm.status(name)
            (port,) = [each.port for each in peers() if each.name == name]
            addresses = [address.partition("/p2p/")[0] for address in told["addresses"]]
            only = f"/ip4/{swarm.address('switch')}/tcp/{port}"
            assert addresses == [only], "there is no way round the lines"

        swarm("kill", "--signal", "KILL", "founder")
        missed = 'up{instance="founder:9464"}'
        eventually("the founder is missed", lambda: api.value(missed) == 0, patience=60)
        before = api.value(MIXED_BY_OTHERS)
        eventually("they go on", lambda: api.value(MIXED_BY_OTHERS) > before + 2 * len(STEADY), patience=300)
        swarm("start", "founder")
        back = 'murmuration_exchanges_total{instance="founder:9464", result="done"} > 0'
        eventually("the founder is back, and mixes", lambda: api.query(back), patience=300)


def test_chaos_cuts_lines_and_kills_peers_and_the_others_train_on(image, tmp_path):
    # With one to three minutes of a life the test would be as long as two of them.
    short = {name: {"environment": {"LIFE": "60-80"}} for name in MAYFLIES}
    with _swarm(tmp_path, **short) as swarm:
        swarm.up("scissors", *MAYFLIES)

        def killed():
            return [name for name in MAYFLIES if int(swarm.inspect(name, "{{.RestartCount}}"))]

        def cut():
            return "is whole again" in swarm("logs", "switch")

        api = swarm.api
        eventually("all others train", lambda: api.value(f"count({LOSSES})") == len(STEADY), patience=300)
        eventually("a line is cut, and mended", cut, patience=300)
        name, *_ = eventually("a mayfly is killed", killed, patience=300)
        before = api.value(MIXED)
        eventually("the others go on", lambda: api.value(MIXED) > before + 2 * len(STEADY), patience=300)
        eventually("it is back", lambda: swarm.log(name).count('"joined"') > 1, patience=300)
        # Nobody else needed a second life.
        assert {int(swarm.inspect(each, "{{.RestartCount}}")) for each in STEADY} == {0}
