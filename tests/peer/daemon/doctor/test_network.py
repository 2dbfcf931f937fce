"""What is made of what peers tell."""

import pytest

from peer.daemon.doctor.findings import Number
from peer.daemon.doctor.network import CLOCK_LIMIT, look_at_clock, look_at_dht, look_at_reach, look_at_ways
from peer.swarm.measuring import Measured
from peer.swarm.standing import Standing
from peer.swarm.transport import DialBack
from protocol.manifest import Manifest

INSIDE, OUTSIDE = "/ip4/192.168.1.5/tcp/4001", "/ip4/11.0.0.7/tcp/4001"
MANIFEST = Manifest(founder=bytes(32))


def _standing(address, result, seen=None, own=None):
    standing = Standing((), lambda: (INSIDE,))
    standing.note(DialBack("prober", address, result, seen, own))
    return standing


@pytest.mark.parametrize(
    ("standing", "number", "says"),
    [
        (_standing(OUTSIDE, "silent", 5, 5), Number.BEHIND_ROUTER, "keeps ports"),
        (_standing(OUTSIDE, "silent", 6, 5), Number.RANDOM_PORTS, "random port"),
        (_standing(INSIDE, "refused", 5, 5), Number.BLOCKED, "no router"),
        (_standing(OUTSIDE, "reached", 5, 5), None, "keeps ports"),
    ],
)
def test_the_doctor_says_why_nobody_gets_in(standing, number, says):
    reach, nat = look_at_reach(standing, [])
    assert reach.number == number
    assert says in nat.said
    if number is not None:
        assert "4001" in reach.mend
        assert "4001" in reach.said


def test_nobody_who_tried_tells_nothing():
    (finding,) = look_at_reach(Standing((), lambda: (INSIDE,)), [])
    assert finding.number == Number.UNTESTED


def test_the_median_of_the_ways_counts():
    ways = [Measured(0.1, 1e6, rate, clock) for rate, clock in ((1.0, 0.0), (1e6, 0.5), (2e6, 9e9))]
    clock, bandwidth = look_at_ways(ways, MANIFEST)
    assert bandwidth.level == clock.level == "ok"
    assert "100 ms" in bandwidth.said
    slow = [Measured(0.1, 1e6, 100.0, 0.0)]
    assert look_at_ways(slow, MANIFEST)[1].number == Number.SLOW
    assert look_at_ways([], MANIFEST)[0].number == Number.UNMEASURED


@pytest.mark.parametrize(("ahead", "word"), [(CLOCK_LIMIT + 1, "behind"), (-CLOCK_LIMIT - 1, "ahead of")])
def test_a_clock_that_is_off(ahead, word):
    finding = look_at_clock(ahead)
    assert finding.number == Number.CLOCK
    assert word in finding.said


def test_a_table_that_names_nobody():
    assert look_at_dht(3, 1).level == "ok"
    assert look_at_dht(0, 1).level == "note"
    assert look_at_dht(0, 0).level == "warning"
