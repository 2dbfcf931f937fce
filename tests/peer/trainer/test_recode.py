import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from peer.trainer.recode import MOST_WEIGHT, weight
from peer.trainer.replica import rule_of
from protocol.manifest import Outer

TOKENS = st.integers(0, 2**62)
BY_TOKENS = rule_of(Outer(preset="gossip", weights="tokens"))


@given(TOKENS, TOKENS)
def test_both_sides_come_to_weights_that_sum_to_one(ours, theirs):
    mine = weight(BY_TOKENS, ours, theirs)
    assert mine + weight(BY_TOKENS, theirs, ours) == pytest.approx(1)
    assert 1 - MOST_WEIGHT - 1e-9 <= mine <= MOST_WEIGHT


@pytest.mark.parametrize(("ours", "theirs", "wanted"), [(3, 1, 0.25), (0, 0, 0.5), (0, 9, 0.9), (9, 0, 0.1)])
def test_a_weight_is_the_partners_part_of_the_tokens(ours, theirs, wanted):
    assert weight(BY_TOKENS, ours, theirs) == pytest.approx(wanted)
    assert weight(rule_of(Outer(preset="gossip")), ours, theirs) == 0.5


def test_a_rule_is_what_the_manifest_says():
    outer = Outer(
        preset="streaming-diloco", group=9, fragments=3, landing="blend", weights="tokens", alpha=0.8
    )
    rule = rule_of(outer)
    assert (rule.group, rule.fragments, rule.keep, rule.weights, rule.alpha) == (9, 3, 0.5, "tokens", 0.8)
    assert rule_of(msgspec.structs.replace(outer, landing="add")).keep is None
