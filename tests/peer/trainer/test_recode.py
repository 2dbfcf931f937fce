from types import SimpleNamespace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from peer.trainer.recode import MOST_WEIGHT, weight
from peer.trainer.replica import rule_of
from protocol.limits import MAX_STANDING
from protocol.manifest import Outer

TOKENS = st.integers(0, 2**62)
BY_TOKENS = rule_of(Outer(preset="gossip", weights="tokens"))


EQUAL = rule_of(Outer(preset="gossip"))
STANDING = st.integers(0, MAX_STANDING)


def stake(tokens, standing=MAX_STANDING):
    return SimpleNamespace(tokens=tokens, standing=standing)


@given(TOKENS, TOKENS, STANDING, STANDING, st.sampled_from([BY_TOKENS, EQUAL]))
def test_both_sides_come_to_weights_that_sum_to_one(ours, theirs, our_standing, their_standing, rule):
    one, other = stake(ours, our_standing), stake(theirs, their_standing)
    assert weight(rule, one, other) + weight(rule, other, one) == pytest.approx(1)
    mine = weight(rule, stake(ours), stake(theirs))
    assert 1 - MOST_WEIGHT - 1e-9 <= mine <= MOST_WEIGHT + 1e-9


@pytest.mark.parametrize(
    ("ours", "theirs", "wanted"), [(0, 64, 1.0), (64, 0, 0.0), (0, 0, 0.5), (16, 64, 0.8), (32, 32, 0.5)]
)
def test_a_newcomer_takes_the_partners_share_and_gives_none(ours, theirs, wanted):
    assert weight(EQUAL, stake(7, ours), stake(1, theirs)) == wanted


@pytest.mark.parametrize(("ours", "theirs", "wanted"), [(3, 1, 0.25), (0, 0, 0.5), (0, 9, 0.9), (9, 0, 0.1)])
def test_a_weight_is_the_partners_part_of_the_tokens(ours, theirs, wanted):
    assert weight(BY_TOKENS, stake(ours), stake(theirs)) == pytest.approx(wanted)
    assert weight(EQUAL, stake(ours), stake(theirs)) == 0.5


def test_a_rule_is_what_the_manifest_says():
    outer = Outer(
        preset="streaming-diloco", group=9, fragments=3, landing="blend", weights="tokens", alpha=0.8
    )
    rule = rule_of(outer)
    assert (rule.group, rule.fragments, rule.keep, rule.weights, rule.alpha) == (9, 3, 0.5, "tokens", 0.8)
    assert rule_of(msgspec.structs.replace(outer, landing="add")).keep is None
