"""Peers behind routers of several kinds, in network namespaces; each a process with the real network side.

`benchmarks/nat.py` does the same with whole peers, in every combination, and keeps the record.
"""

import json
import queue
import subprocess
import sys
import threading
import time

import pytest

from benchmarks.routers import FORWARDED_PORT, Internet, missing
from tests.processes.support import PATIENCE

pytestmark = [pytest.mark.processes, pytest.mark.timeout(300)]
LISTEN = f"/ip4/0.0.0.0/tcp/{FORWARDED_PORT}"
PUBLIC, ONE, TWO, THIRD, FOURTH, FORWARDED = range(6)


@pytest.fixture(scope="module")
def internet():
    reason = missing()
    if reason is not None:
        pytest.skip(reason)
    with Internet() as made:
        yield made


class Toy:
    """A toy peer and the last that it said."""

    def __init__(self, inside, number, *bootstraps):
        command = [*inside, sys.executable, "-m", "tests.processes.toy_peer", str(number), LISTEN]
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        self.process = subprocess.Popen([*command, *bootstraps], text=True, **pipes)
        self._said = queue.Queue()
        self.last = {}
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self._said.put(line)

    @property
    def address(self):
        return self._said.get(timeout=PATIENCE).strip()

    def until(self, check):
        """Read on until a report passes."""
        deadline = time.monotonic() + PATIENCE
        while not (self.last and check(self.last)):
            try:
                line = self._said.get(timeout=max(deadline - time.monotonic(), 0.01))
            except queue.Empty:
                raise AssertionError(f"it came to no more than {self.last}") from None
            if line.startswith("{"):
                self.last = json.loads(line)
        return self.last

    def end(self):
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()
        self.process.stderr.close()


@pytest.fixture(scope="module")
def toys(internet):
    """One public peer, two behind each kind of router, and one whose port is forwarded."""
    made = []
    try:
        made.append(Toy(internet.public()[0], PUBLIC))
        address = made[0].address
        kinds = ["port-preserving"] * 2 + ["random-port"] * 2 + ["forwarded"]
        for number, kind in enumerate(kinds, start=1):
            made.append(Toy(internet.home(kind)[0], number, address))
        yield made
    finally:
        for toy in made:
            toy.end()


def test_routers_that_keep_ports_are_punched_and_the_peers_exchange_directly(toys):
    for number, other in ((ONE, TWO), (TWO, ONE)):
        toys[number].until(lambda told, other=other: other in told["direct"])
        toys[number].until(lambda told, other=other: str(other) in told["partners"])
        told = toys[number].until(lambda told: told["nat"] == "port-preserving")
        assert told["reachable"] is False
        assert other not in told["relayed"]


def test_routers_with_random_ports_are_not_and_the_peers_still_exchange(toys):
    for number, other in ((THIRD, FOURTH), (FOURTH, THIRD)):
        toys[number].until(
            lambda told, other=other: other in told["relayed"] and str(PUBLIC) in told["partners"]
        )
        # Who dialled them back may have said so later than they trained.
        told = toys[number].until(lambda told: told["nat"] == "random-port")
        assert told["reachable"] is False
        assert other not in told["direct"]


def test_what_is_announced_works_and_nothing_else_is(toys):
    told = toys[PUBLIC].until(lambda told: told["reachable"])
    assert told["nat"] == "none"
    assert told["announced"] == [f"/ip4/11.0.0.1/tcp/{FORWARDED_PORT}"]
    for number in (ONE, TWO, THIRD, FOURTH):
        told = toys[number].until(lambda told: told["announced"] and told["reachable"] is False)
        assert all("/p2p-circuit" in address for address in told["announced"])


def test_a_forwarded_port_is_found_without_being_told(toys):
    told = toys[FORWARDED].until(lambda told: told["reachable"])
    assert told["announced"] == [f"/ip4/11.0.0.106/tcp/{FORWARDED_PORT}"]
