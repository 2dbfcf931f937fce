"""The decisions of pairing, without I/O: every case of who meets whom."""

import hashlib

import pytest
from msgspec.structs import replace

from peer.swarm.pairing import LONGEST_BUSY, Engagement, OwnShare, Pairing
from protocol.messages import Accepted, Busy, ObjectRef, Refused

SIZE = 100


def _share(step: int, *, name: str = "a", codec: str = "int8", fresh: bool = True) -> OwnShare:
    ref = ObjectRef(sha256=hashlib.sha256(f"{name}{step}".encode()).digest(), size=SIZE)
    return OwnShare(step, step, ref, codec, fresh=fresh)


def _pairing(own_id: str, *, share: bool = True) -> Pairing:
    pairing = Pairing(own_id, decodes=("int8", "fp32"))
    pairing.largest_share = 4 * SIZE
    if share:
        pairing.new_share(_share(1, name=own_id))
    return pairing


@pytest.mark.anyio
async def test_an_offer_is_accepted_and_both_sides_agree_on_the_exchange():
    a, b = _pairing("a"), _pairing("b")
    offer = a.begin_offer("b")
    answer, theirs = b.answer("a", offer)
    ours = a.end_offer(offer, answer)
    assert isinstance(ours, Engagement)
    assert isinstance(theirs, Engagement)
    assert ours.exchange == theirs.exchange
    assert (ours.theirs, theirs.theirs) == (b.share.ref, a.share.ref)
    assert (ours.initiated, theirs.initiated) == (True, False)


@pytest.mark.anyio
@pytest.mark.parametrize("first_to_hear", ["a", "b"])
async def test_of_two_crossing_offers_that_of_the_smaller_peer_stands(first_to_hear):
    a, b = _pairing("a"), _pairing("b")
    from_a, from_b = a.begin_offer("b"), b.begin_offer("a")
    if first_to_hear == "a":
        to_b, none = a.answer("b", from_b)
        to_a, engaged = b.answer("a", from_a)
    else:
        to_a, engaged = b.answer("a", from_a)
        to_b, none = a.answer("b", from_b)
    assert none is None
    assert isinstance(to_b, Busy)
    assert to_b.crossed
    assert isinstance(to_a, Accepted)
    ours = a.end_offer(from_a, to_a)
    assert b.end_offer(from_b, None) is None
    assert ours.exchange == engaged.exchange == from_a.exchange
    assert b.engagement is engaged


@pytest.mark.anyio
async def test_a_circle_of_offers_is_answered_busy_all_round():
    peers = [_pairing(name) for name in "abc"]
    offers = [peer.begin_offer("abc"[(i + 1) % 3]) for i, peer in enumerate(peers)]
    for i, offer in enumerate(offers):
        answer, engagement = peers[(i + 1) % 3].answer("abc"[i], offer)
        assert isinstance(answer, Busy)
        assert engagement is None


@pytest.mark.anyio
async def test_who_has_nothing_to_share_says_when_to_come_back():
    a, b = _pairing("a"), _pairing("b", share=False)
    b.next_boundary = 7.0
    answer, _ = b.answer("a", a.begin_offer("b"))
    assert answer == Busy(seconds=7.0)
    b.next_boundary = 1e9
    answer, _ = b.answer("a", _pairing("a").begin_offer("b"))
    assert answer == Busy(seconds=LONGEST_BUSY)


@pytest.mark.anyio
async def test_one_exchange_at_a_time_and_a_mixed_share_is_spent():
    a, b, c = _pairing("a"), _pairing("b"), _pairing("c")
    offer = a.begin_offer("b")
    answer, engagement = b.answer("a", offer)
    busy, none = b.answer("c", c.begin_offer("b"))
    assert isinstance(busy, Busy)
    assert none is None
    b.disengage(engagement, mixed=True)
    assert b.share is None
    assert b.has_mixed(1)
    busy, _ = b.answer("d", _pairing("d").begin_offer("b"))
    assert isinstance(busy, Busy)
    b.new_share(_share(1, name="refreshed", fresh=False))
    answer, _ = b.answer("e", _pairing("e").begin_offer("b"))
    assert isinstance(answer, Accepted)
    assert not b.wants_partner(b.share)


@pytest.mark.anyio
async def test_a_failed_exchange_leaves_the_share_as_it_was():
    a, b = _pairing("a"), _pairing("b")
    _, engagement = b.answer("a", a.begin_offer("b"))
    share = b.share
    b.disengage(engagement, mixed=False)
    assert b.wants_partner(share)
    assert not b.has_mixed(1)


@pytest.mark.anyio
async def test_an_offer_stands_though_a_newer_share_came_while_it_was_under_way():
    a, b = _pairing("a"), _pairing("b")
    offered = a.share
    offer = a.begin_offer("b")
    answer, _ = b.answer("a", offer)
    a.new_share(_share(2, name="a"))
    engagement = a.end_offer(offer, answer)
    assert engagement.mine is offered
    a.disengage(engagement, mixed=True)
    assert a.has_mixed(1)
    assert a.wants_partner(a.share), "the newer share still waits for its own exchange"


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("size", "codec", "reason"),
    [(SIZE + 1, "int8", "have 100"), (401, "fp32", "at most 400"), (SIZE, "zip", "decodes int8, fp32")],
)
async def test_shares_that_make_no_sense_are_refused_before_a_byte_of_them_comes(size, codec, reason):
    a, b = _pairing("a"), _pairing("b")
    offer = a.begin_offer("b")
    forged = replace(offer, share=ObjectRef(sha256=bytes(32), size=size), codec=codec)
    answer, engagement = b.answer("a", forged)
    assert isinstance(answer, Refused)
    assert reason in answer.reason
    assert engagement is None
    accepted = Accepted(outer_step=1, share=forged.share, codec=codec)
    assert reason in a.end_offer(offer, accepted)
    assert a.engagement is None


@pytest.mark.anyio
async def test_a_partner_that_cannot_decode_us_is_told_so():
    a, b = _pairing("a"), _pairing("b")
    answer, _ = b.answer("a", replace(a.begin_offer("b"), decodes=("fp32",)))
    assert isinstance(answer, Refused)
    assert "int8" in answer.reason
