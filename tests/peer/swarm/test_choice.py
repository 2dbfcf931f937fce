"""Which codec goes to whom: the manifest's, or what the link carries in time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peer.swarm.choice import BUDGET, CANDIDATES, LATE, Link, choose, decodable, fixed
from protocol.manifest import Manifest

ALL = ("fp32", "bf16", "int8", "modulo")
VALUES = 1_000_000


def _size(codec, bits):
    return VALUES * bits // 8


def _manifest(*codecs):
    return Manifest(founder=bytes(32), codecs=codecs, modulo_bits=3)


@pytest.mark.parametrize(
    ("goodput", "chosen"),
    [
        (1e9, ("fp32", 32)),
        (1e7, ("bf16", 16)),
        (5e6, ("int8", 8)),
        (1.5e6, ("modulo", 5)),
        (5e5, ("modulo", 4)),
        (1e5, ("modulo", 3)),
    ],
)
def test_the_slower_the_link_the_fewer_the_bits(goodput, chosen):
    choice = choose(Link("QmX", goodput, pace=5.0), _size, ALL)
    assert (choice.codec, choice.bits) == chosen


def test_the_reason_names_the_numbers_and_the_next_better_codec():
    assert choose(Link("QmX", 4e6, pace=5.0), _size, ALL).reason == (
        "int8 to QmX: 1.0 MB at 4.0 MB/s takes 0.2 s of the 5.0 s between outer steps; "
        "bf16 would take 0.5 s, and the delay cost more than it saves"
    )
    assert choose(Link("QmX", 4e7, pace=5.0), _size, ALL).reason == (
        "fp32 to QmX: 4.0 MB at 40.0 MB/s takes 0.1 s of the 5.0 s between outer steps"
    )


def test_of_an_unknown_link_the_middle_is_expected():
    choice = choose(Link("QmX", None, pace=5.0), _size, ALL)
    assert (choice.codec, choice.reason) == ("int8", "int8 to QmX: nothing is known of the link yet")


def test_without_bounds_a_slow_link_gets_the_smallest_plain_codec():
    assert choose(Link("QmX", 1.0, pace=5.0), _size, ALL[:3]).codec == "int8"


def test_nothing_to_choose_from_is_an_error():
    with pytest.raises(ValueError, match="zip may be chosen"):
        choose(Link("QmX", 1.0, pace=5.0), _size, ("zip",))


@given(st.floats(1.0, 1e12), st.floats(0.01, 1e5))
def test_nothing_within_the_budget_costs_less(goodput, pace):
    choice = choose(Link("QmX", goodput, pace), _size, ALL)
    costs = {
        (each.codec, each.bits): each.cost + LATE * (_size(each.codec, each.bits) / goodput / pace) ** 2
        for each in CANDIDATES
        if each.cost <= BUDGET
    }
    assert costs[choice.codec, choice.bits] == min(costs.values())


def test_a_peer_decodes_what_the_run_allows_and_what_it_falls_back_on():
    assert decodable(_manifest("int8")) == ("int8",)
    assert decodable(_manifest("modulo")) == ("modulo", "int8")
    assert decodable(_manifest("modulo", "bf16")) == ("modulo", "bf16")
    assert decodable(_manifest("auto")) == ALL


@pytest.mark.parametrize(
    ("codecs", "near", "expected"),
    [
        (("modulo",), True, ("modulo", 3)),
        (("modulo",), False, ("int8", 0)),
        (("modulo", "fp32", "int8"), False, ("fp32", 0)),
    ],
)
def test_a_run_that_names_its_codec_gets_it_once_the_receiver_has_bounds(codecs, near, expected):
    choice = fixed(_manifest(*codecs), "modulo", near=near)
    assert (choice.codec, choice.bits) == expected
    assert choice.codec in decodable(_manifest(*codecs))


def test_a_relay_carries_the_smallest_codec_whatever_it_could():
    choice = choose(Link("QmX", 0.0, pace=5.0), _size, ALL)
    assert (choice.codec, choice.bits) == ("modulo", 3)
    assert "relay" in choice.reason
    assert choose(Link("QmX", 0.0, pace=5.0), _size, ALL[:3]).codec == "int8"
