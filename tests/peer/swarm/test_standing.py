"""What follows from what peers found when they dialled us back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peer.swarm.standing import LASTING, MOST_PROBERS, MOST_TRIED, Nat, Standing, Verdict
from peer.swarm.transport import DialBack

INSIDE = "/ip4/192.168.1.5/tcp/4001"
OUTSIDE = "/ip4/11.0.0.7/tcp/4001"
CIRCUIT = "/ip4/11.0.0.1/tcp/4001/p2p/12D3KooWRelay/p2p-circuit"


def _told(address, result, prober="one", seen=None, own=None):
    return DialBack(prober, address, result, seen, own)


def _standing(*told, own=(INSIDE,), claimed=()):
    standing = Standing(claimed, lambda: own)
    for one in told:
        standing.note(one)
    return standing


def test_nothing_is_known_at_first_and_what_the_machine_says_is_told():
    standing = _standing()
    assert standing.verdict() == Verdict()
    assert standing.announced([CIRCUIT]) == [INSIDE]
    assert standing.ports() == [4001]
    assert standing.predicted() == []


def test_who_says_where_it_is_reached_tells_an_address_inside_only_once_it_is_proved():
    assert _standing(claimed=(OUTSIDE,)).announced() == [OUTSIDE]
    proved = _standing(_told(INSIDE, "reached"), claimed=(OUTSIDE,))
    assert proved.announced() == [INSIDE, OUTSIDE]


def test_a_machine_with_an_address_of_the_internet():
    standing = _standing(_told(OUTSIDE, "reached", seen=50_000, own=50_000), own=(OUTSIDE,))
    verdict = standing.verdict()
    assert (verdict.reachable, verdict.nat, verdict.needs_relay) == (True, Nat.NONE, False)
    assert verdict.outside == ("11.0.0.7",)
    assert standing.announced([CIRCUIT]) == [OUTSIDE]
    assert standing.hidden_port() is None


def test_behind_a_router_that_lets_nobody_in():
    standing = _standing(_told(OUTSIDE, "silent", seen=50_000, own=50_000))
    verdict = standing.verdict()
    assert (verdict.reachable, verdict.nat, verdict.needs_relay) == (False, Nat.PORT_PRESERVING, True)
    assert standing.announced() == [], "neither the router's address nor the one inside leads here"
    assert standing.announced([CIRCUIT]) == [CIRCUIT]
    assert standing.predicted() == [OUTSIDE, INSIDE]
    assert standing.hidden_port() == 4001


def test_a_router_that_gives_each_connection_another_port():
    standing = _standing(
        _told(OUTSIDE, "silent", "one", seen=1_111, own=50_000),
        _told(OUTSIDE, "silent", "two", seen=2_222, own=50_001),
    )
    assert standing.verdict().nat is Nat.RANDOM_PORT
    assert standing.predicted() == [], "a port that nobody can know is not told"


def test_a_port_that_is_forwarded_is_told_though_nobody_claimed_it():
    standing = _standing(_told(OUTSIDE, "reached"))
    assert standing.verdict().reachable
    assert standing.announced([CIRCUIT]) == [OUTSIDE]


def test_a_claim_that_does_not_hold_is_not_told_until_it_does():
    standing = _standing(_told(OUTSIDE, "refused"), claimed=(OUTSIDE,))
    assert OUTSIDE not in standing.announced()
    standing.note(_told(OUTSIDE, "reached"))
    assert OUTSIDE in standing.announced()


def test_what_the_router_has_mapped_is_told_until_it_is_disproved():
    standing = _standing(_told(OUTSIDE, "silent"))
    standing.mapped = "/ip4/11.0.0.7/tcp/4099"
    assert standing.ports() == [4099, 4001]
    assert standing.announced() == ["/ip4/11.0.0.7/tcp/4099"]
    standing.note(_told("/ip4/11.0.0.7/tcp/4099", "silent"))
    assert standing.announced() == []


def test_an_address_inside_is_told_once_somebody_inside_has_reached_it():
    standing = _standing(_told(OUTSIDE, "silent", "far"), _told(INSIDE, "reached", "near"))
    verdict = standing.verdict()
    assert verdict.outside == ("11.0.0.7",), "who sees us from the internet decides"
    assert verdict.needs_relay
    assert standing.announced([CIRCUIT]) == [INSIDE, CIRCUIT]


def test_a_network_without_the_internet_is_all_there_is():
    standing = _standing(_told(INSIDE, "reached"))
    assert standing.verdict().reachable
    assert standing.verdict().nat is Nat.NONE
    assert standing.announced() == [INSIDE]


def test_loopback_is_told_only_where_it_is_listened_on():
    loopback = "/ip4/127.0.0.1/tcp/4001"
    assert _standing(_told(loopback, "reached")).announced() == [INSIDE]
    assert loopback in _standing(_told(loopback, "reached"), own=(loopback,)).announced()


def test_the_two_families_are_judged_apart():
    six = "/ip6/2a00::7/tcp/4001"
    standing = _standing(_told(OUTSIDE, "silent"), _told(six, "reached", "two"), own=(INSIDE, six))
    verdict = standing.verdict()
    assert (verdict.reachable, verdict.needs_relay) == (True, True)
    assert standing.announced([CIRCUIT]) == [six, CIRCUIT]


def test_one_liar_among_three_changes_nothing():
    honest = [_told(OUTSIDE, "silent", name) for name in ("one", "two")]
    elsewhere = "/ip4/12.9.9.9/tcp/4001"
    standing = _standing(_told(elsewhere, "reached", "liar"), *honest)
    assert standing.verdict().outside == ("11.0.0.7",)
    assert not standing.verdict().reachable
    assert elsewhere not in standing.announced()


STRANGERS = "/ip4/12.9.9.9/tcp/4001"


def test_one_peer_alone_is_believed_until_somebody_says_otherwise():
    standing = _standing(_told(STRANGERS, "reached", "liar"))
    assert STRANGERS in standing.announced(), "in a swarm of two there is nobody else to ask"
    standing.note(_told(OUTSIDE, "silent", "honest"))
    assert STRANGERS not in standing.announced()
    assert not standing.verdict().reachable


def test_two_peers_that_reached_it_are_enough_whatever_a_third_says():
    reached = [_told(OUTSIDE, "reached", name) for name in ("one", "two")]
    standing = _standing(*reached, _told(STRANGERS, "reached", "liar"))
    assert OUTSIDE in standing.announced()
    assert STRANGERS not in standing.announced()


def test_an_address_of_this_machine_needs_one_peer_only():
    six = "/ip6/2a00::7/tcp/4001"
    standing = _standing(_told(six, "reached"), _told("/ip6/2600::1/tcp/1", "silent", "two"), own=(six,))
    assert six in standing.verdict().proved


def test_what_was_found_long_ago_counts_no_more_once_there_is_newer_word():
    standing = _standing(_told(OUTSIDE, "reached"))
    standing.note(_told(OUTSIDE, "silent", "two"), LASTING)
    assert standing.probers == 2
    standing.note(_told(OUTSIDE, "silent", "two"), LASTING + 1)
    assert standing.probers == 1
    assert not standing.verdict().reachable


def test_a_new_address_is_announced_and_the_old_one_no_more_once_two_agree():
    standing = _standing()
    for index in range(MOST_PROBERS):
        assert not standing.note(_told(OUTSIDE, "reached", str(index)), index)
    moved = "/ip4/11.0.0.8/tcp/4001"
    assert standing.note(_told(moved, "reached", "0"), 100.0), "somebody sees us elsewhere"
    assert not standing.note(_told(moved, "reached", "0"), 110.0), "as before"
    assert standing.announced() == [OUTSIDE]
    standing.note(_told(moved, "reached", "1"), 120.0)
    assert standing.verdict().outside == ("11.0.0.8",)
    assert standing.announced() == [moved]
    assert standing.probers == 2


def test_the_other_family_and_newer_words_outlive_a_new_address():
    six = "/ip6/2a00::7/tcp/4001"
    standing = _standing(_told(six, "reached", "six"), own=(six,))
    for name in ("one", "two"):
        standing.note(_told(STRANGERS, "reached", name), 10.0)
    standing.note(_told(OUTSIDE, "silent", "three"), 11.0)
    standing.note(_told(STRANGERS, "reached", "one"), 12.0)
    assert standing.probers == 4


def test_the_last_word_of_each_counts():
    standing = _standing(*[_told(OUTSIDE, "reached", str(index)) for index in range(3)])
    for index in range(3):
        standing.note(_told(OUTSIDE, "silent", str(index)))
    assert standing.verdict().reachable is False


@given(
    st.lists(
        st.builds(
            DialBack,
            prober=st.text(max_size=2),
            address=st.builds("/ip4/{}/tcp/{}".format, st.ip_addresses(v=4).map(str), st.integers(1, 65535))
            | st.builds("/ip6/{}/tcp/{}".format, st.ip_addresses(v=6).map(str), st.integers(1, 65535)),
            result=st.sampled_from(["reached", "silent", "refused", "stranger"]),
            seen_port=st.none() | st.integers(1, 65535),
            own_port=st.none() | st.integers(1, 65535),
        ),
        max_size=60,
    )
)
def test_whatever_is_told_memory_is_bounded_and_what_failed_is_not_announced(told):
    standing = _standing(*told, claimed=(OUTSIDE,))
    verdict, announced = standing.verdict(), standing.announced([CIRCUIT])
    assert standing.probers <= MOST_PROBERS
    assert len(verdict.proved) + len(verdict.refuted) <= MOST_TRIED
    assert not set(announced) & set(verdict.refuted)
    assert len(announced) == len(set(announced))
    standing.predicted()


def test_verdict_is_a_value():
    assert _standing(_told(INSIDE, "reached")).verdict() == _standing(_told(INSIDE, "reached")).verdict()
    with pytest.raises(AttributeError):
        Verdict().reachable = True
