"""What all members of a group must see alike: the list, the weights, the codec and the bounds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from peer.swarm.group import MOST_TOKENS, Group, codec_of, largest_part, open_group, weights
from protocol.codec import digest, encode
from protocol.group_calls import Form, GroupMember, Joins
from protocol.manifest import Manifest, Model, Outer
from protocol.sizes import parameters

NAMES = ("a", "b", "c")


def _said(tokens):
    return Joins(tokens=tokens, standing=64, reference=None)


def _form(names=NAMES, tokens=(10, 20, 30), reference=None) -> Form:
    pairs = zip(names, tokens, strict=True)
    members = tuple(GroupMember(peer_id=name, tokens=each, standing=64) for name, each in pairs)
    return Form(invitation=bytes(16), fragment=0, members=members, reference=reference)


def _group(tokens) -> Group:
    names = [f"{place:02}" for place in range(len(tokens))]
    group = open_group(_form(names, tokens), names[0], names[0], _said(tokens[0]), 64)
    assert isinstance(group, Group)
    return group


def test_a_sound_list_opens_to_the_same_group_for_all():
    form = _form(reference=bytes(32))
    groups = [
        open_group(form, "a", name, _said(tokens), 3)
        for name, tokens in zip(NAMES, (10, 20, 30), strict=True)
    ]
    assert [group.own for group in groups] == [0, 1, 2]
    assert {group.id for group in groups} == {digest(encode(form))}
    assert groups[1].others == (0, 2)
    assert groups[1].leads == 0
    assert groups[1].together


@pytest.mark.parametrize(
    ("form", "leader", "tokens", "most", "reason"),
    [
        (_form(), "a", 20, 2, "at most 2"),
        (_form(names=("b", "a", "c")), "a", 20, 3, "order"),
        (_form(names=("a", "b", "b")), "a", 20, 3, "order"),
        (_form(), "d", 20, 3, "not on the list"),
        (_form(names=("a", "c", "d")), "a", 20, 3, "not on the list"),
        (_form(), "a", 21, 3, "not what we said"),
    ],
)
def test_a_list_that_makes_no_sense_is_refused(form, leader, tokens, most, reason):
    assert reason in open_group(form, leader, "b", _said(tokens), most)


@given(st.lists(st.integers(0, 2**62), min_size=2, max_size=64), st.integers(0, 2**62))
def test_one_liar_about_its_tokens_gains_little(tokens, lie):
    honest = sorted([max(each, 1) for each in tokens] * 2)
    counted = weights(_group([*honest, lie]), by_tokens=True)
    assert counted[-1] <= MOST_TOKENS * max(honest)
    assert min(counted) >= 0
    assert sum(counted) > 0


def test_a_newcomer_counts_for_nothing_unless_all_are_newcomers():
    pairs = zip("abc", (0, 64, 32), strict=True)
    members = [GroupMember(peer_id=name, tokens=5, standing=each) for name, each in pairs]
    form = Form(invitation=bytes(16), fragment=0, members=tuple(members), reference=None)
    said = Joins(tokens=5, standing=0, reference=None)
    assert weights(open_group(form, "a", "a", said, 64), by_tokens=False) == [0.0, 1.0, 0.5]
    alike = tuple(replace(member, standing=0) for member in members)
    group = open_group(replace(form, members=alike), "a", "a", said, 64)
    assert weights(group, by_tokens=True) == [5.0, 5.0, 5.0]
    lied = open_group(form, "a", "b", replace(said, standing=63), 64)
    assert lied == "that is not what we said of our share"


def test_weights_are_equal_unless_the_run_counts_tokens():
    group = _group([10, 20, 30])
    assert weights(group, by_tokens=False) == [1.0, 1.0, 1.0]
    assert weights(group, by_tokens=True) == [10.0, 20.0, 30.0]
    assert weights(_group([0, 0]), by_tokens=True) == [1.0, 1.0]


@pytest.mark.parametrize(
    ("codecs", "together", "apart"),
    [(("e3m0", "int8"), "e3m0", "int8"), (("fp32",), "fp32", "fp32"), (("topk",), "topk", "bf16")],
)
def test_codecs_of_changes_are_for_those_who_began_alike(codecs, together, apart):
    manifest = Manifest(founder=bytes(32), codecs=codecs)
    assert codec_of(manifest, together=True) == together
    assert codec_of(manifest, together=False) == apart


@given(st.integers(1, 4), st.integers(2, 64))
def test_all_parts_of_a_share_fit_their_bound(count, members):
    manifest = Manifest(founder=bytes(32), model=Model(layers=4), outer=Outer(fragments=count))
    bounds = [largest_part(manifest, fragment, members) * members for fragment in range(count)]
    assert sum(bounds) >= 2 * 4 * parameters(manifest)
