"""A real UPnP router in a network namespace, asked for a port, and given it back."""

import shutil
import subprocess
import sys

import pytest

from benchmarks.routers import Internet, missing

pytestmark = [pytest.mark.processes, pytest.mark.timeout(120)]

ASK = """
import sys, trio
from peer.swarm.upnp import RouterPort

async def main():
    router = RouterPort()
    for _ in range(int(sys.argv[1])):
        print(await router.open(4001), flush=True)
    sys.stdin.read()
    await router.close()

trio.run(main)
"""


@pytest.fixture
def internet():
    reason = missing() or (None if shutil.which("miniupnpd") else "miniupnpd is not installed")
    if reason is not None:
        pytest.skip(reason)
    with Internet() as made:
        yield made


def _asking(inside, times):
    pipes = dict.fromkeys(("stdin", "stdout"), subprocess.PIPE)
    return subprocess.Popen([*inside, sys.executable, "-c", ASK, str(times)], text=True, **pipes)


def _mapped(internet):
    command = [*internet.router(1), "nft", "list", "chain", "inet", "filter", "mapped_in"]
    return "dnat" in subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_a_port_is_mapped_renewed_and_given_back(internet):
    inside, outside = internet.home("upnp")
    with _asking(inside, 2) as asking:
        said = [asking.stdout.readline().strip() for _ in range(2)]
        assert said == [f"/ip4/{outside}/tcp/4001"] * 2
        assert _mapped(internet)
        asking.stdin.close()
        assert asking.wait(20) == 0
    assert not _mapped(internet)


def test_a_router_without_it_costs_some_seconds(internet):
    inside, _ = internet.home("port-preserving")
    with _asking(inside, 1) as asking:
        assert asking.stdout.readline().strip() == "None"
        asking.stdin.close()
        assert asking.wait(20) == 0
