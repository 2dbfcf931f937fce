"""The decisions of pairing, without I/O: every case of who meets whom."""

import hashlib
from dataclasses import replace as altered

import pytest
import trio
from msgspec.structs import replace

from peer.swarm.engagement import Engagement, OwnShare
from peer.swarm.pairing import LONGEST_BUSY, NO_LONGER_KEPT, Pairing
from peer.swarm.share_sizes import ShareSizes
from protocol.manifest import Manifest, Model, Outer
from protocol.messages import Accepted, Busy, ObjectRef, Offer, Refused

pytestmark = pytest.mark.anyio

SIZE = 100
MANIFEST = Manifest(founder=bytes(32), model=Model(layers=4), outer=Outer(fragments=4))
SIZES = ShareSizes(MANIFEST)


def _ref(name: str, size: int = SIZE) -> ObjectRef:
    return ObjectRef(sha256=hashlib.sha256(name.encode()).digest(), size=size)


def _share(
    number: int, *, name: str = "a", fragment: int = 0, codec: str = "int8", fresh: bool = True
) -> OwnShare:
    on_demand = codec == "modulo"
    return OwnShare(
        share=number,
        fragment=fragment,
        outer_step=number,
        tokens=10 * number,
        standing=64,
        codec=codec,
        ref=None if on_demand else _ref(f"{name}{number}"),
        bounds=_ref(f"bounds of {name}{number}") if on_demand else None,
        reference=None,
        mixed=0 if fresh else 1,
    )


def _pairing(own_id: str, *, share: bool = True) -> Pairing:
    pairing = Pairing(own_id, decodes=("int8", "fp32"), on_demand=("modulo",), sizes=SIZES)
    if share:
        pairing.new_share(_share(1, name=own_id))
    return pairing


def _offer(pairing: Pairing, partner: str, fragment: int = 0) -> Offer:
    share = pairing.share(fragment)
    assert share is not None
    return pairing.begin_offer(partner, share)


async def test_an_offer_is_accepted_and_both_sides_agree_on_the_exchange():
    a, b = _pairing("a"), _pairing("b")
    answer, theirs = b.answer("a", _offer(a, "b"))
    ours = a.end_offer(answer)
    assert isinstance(ours, Engagement)
    assert isinstance(theirs, Engagement)
    assert ours.exchange == theirs.exchange
    assert (ours.theirs.share, theirs.theirs.share) == (b.share().ref, a.share().ref)
    assert (ours.initiated, theirs.initiated) == (True, False)
    assert ours.theirs.tokens == 10


@pytest.mark.parametrize("first_to_hear", ["a", "b"])
async def test_of_two_crossing_offers_that_of_the_smaller_peer_stands(first_to_hear):
    a, b = _pairing("a"), _pairing("b")
    from_a, from_b = _offer(a, "b"), _offer(b, "a")
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
    ours = a.end_offer(to_a)
    assert b.end_offer(None) is None
    assert ours.exchange == engaged.exchange == from_a.exchange
    assert b.engagement is engaged


async def test_a_circle_of_offers_is_answered_busy_all_round():
    peers = [_pairing(name) for name in "abc"]
    offers = [_offer(peer, "abc"[(i + 1) % 3]) for i, peer in enumerate(peers)]
    for i, offer in enumerate(offers):
        answer, engagement = peers[(i + 1) % 3].answer("abc"[i], offer)
        assert isinstance(answer, Busy)
        assert engagement is None


async def test_who_has_nothing_to_share_says_when_to_come_back():
    a, b = _pairing("a"), _pairing("b", share=False)
    b.next_boundary = 7.0
    answer, _ = b.answer("a", _offer(a, "b"))
    assert answer == Busy(seconds=7.0)
    b.next_boundary = 1e9
    answer, _ = b.answer("a", _offer(_pairing("a"), "b"))
    assert answer == Busy(seconds=LONGEST_BUSY)


async def test_an_offer_is_answered_with_the_same_fragment_or_not_at_all():
    a, b = _pairing("a", share=False), _pairing("b")
    a.new_share(_share(3, name="a", fragment=2))
    answer, _ = b.answer("a", _offer(a, "b", 2))
    assert isinstance(answer, Busy)
    a.end_offer(None)
    b.new_share(_share(2, name="b", fragment=2))
    answer, engagement = b.answer("a", _offer(a, "b", 2))
    assert answer.share == b.share(2).ref
    assert engagement.mine is b.share(2)
    b.disengage(engagement, mixed=True)
    assert b.share(2) is None
    assert b.share(0) is not None, "the other fragments' shares stand"


async def test_a_fragment_that_the_run_does_not_have_is_refused():
    a, b = _pairing("a"), _pairing("b")
    answer, engagement = b.answer("a", replace(_offer(a, "b"), fragment=4))
    assert isinstance(answer, Refused)
    assert "no fragment 4: this run has 4" in answer.reason
    assert engagement is None


async def test_one_exchange_at_a_time_and_a_mixed_share_is_spent():
    a, b, c = _pairing("a"), _pairing("b"), _pairing("c")
    mixed = b.share()
    _, engagement = b.answer("a", _offer(a, "b"))
    busy, none = b.answer("c", _offer(c, "b"))
    assert isinstance(busy, Busy)
    assert none is None
    b.disengage(engagement, mixed=True)
    assert b.share() is None
    assert b.has_mixed(mixed)
    busy, _ = b.answer("d", _offer(_pairing("d"), "b"))
    assert isinstance(busy, Busy)
    b.new_share(_share(2, name="refreshed", fresh=False))
    answer, _ = b.answer("e", _offer(_pairing("e"), "b"))
    assert isinstance(answer, Accepted)
    assert not b.wants_partner(b.share())


async def test_a_failed_exchange_leaves_the_share_as_it_was():
    a, b = _pairing("a"), _pairing("b")
    _, engagement = b.answer("a", _offer(a, "b"))
    share = b.share()
    b.disengage(engagement, mixed=False)
    assert b.wants_partner(share)
    assert not b.has_mixed(share)


async def test_an_offer_stands_though_a_newer_share_came_while_it_was_under_way():
    a, b = _pairing("a"), _pairing("b")
    offered = a.share()
    answer, _ = b.answer("a", _offer(a, "b"))
    a.new_share(_share(2, name="a"))
    engagement = a.end_offer(answer)
    assert engagement.mine is offered
    a.disengage(engagement, mixed=True)
    assert a.has_mixed(offered)
    assert a.wants_partner(a.share()), "the newer share still waits for its own exchange"


async def test_a_share_that_the_trainer_has_closed_begins_no_exchange():
    a, b = _pairing("a"), _pairing("b")
    answer, _ = b.answer("a", _offer(a, "b"))
    a.new_share(_share(2, name="a"))
    a.new_share(_share(3, name="a"))
    assert a.end_offer(answer) == NO_LONGER_KEPT
    assert a.engagement is None


@pytest.mark.parametrize("agreed", [False, True])
async def test_an_exchange_whose_share_is_closed_is_given_up_unless_both_have_agreed(agreed):
    a, b = _pairing("a"), _pairing("b")
    _, engagement = b.answer("a", _offer(a, "b"))
    if agreed:
        engagement.agree()
    b.new_share(_share(2, name="b"))
    b.new_share(_share(3, name="b", fragment=1))
    b.new_share(_share(4, name="b", fragment=1))
    assert engagement.fault is None, "of each fragment two shares are kept"
    b.new_share(_share(5, name="b"))
    assert engagement.scope.cancel_called == (not agreed)
    assert (engagement.fault is None) == agreed


@pytest.mark.parametrize(
    ("size", "codec", "reason"),
    [
        (SIZE + 1, "int8", "have 100"),
        (SIZES.body(0, "fp32") + 1, "fp32", "make sense here"),
        (SIZE, "zip", "decodes int8, fp32"),
    ],
)
async def test_shares_that_make_no_sense_are_refused_before_a_byte_of_them_comes(size, codec, reason):
    a, b = _pairing("a"), _pairing("b")
    forged = replace(_offer(a, "b"), share=ObjectRef(sha256=bytes(32), size=size), codec=codec)
    answer, engagement = b.answer("a", forged)
    assert isinstance(answer, Refused)
    assert reason in answer.reason
    assert engagement is None
    accepted = Accepted(outer_step=1, tokens=0, standing=64, share=forged.share, codec=codec, bounds=None)
    assert reason in a.end_offer(accepted)
    assert a.engagement is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"share": None, "codec": "fp32"}, "not written on demand"),
        ({"codec": "modulo"}, "decodes int8"),
        ({"bounds": ObjectRef(sha256=bytes(32), size=SIZES.bounds(0) + 1)}, "your bounds have"),
    ],
)
async def test_announcements_that_contradict_themselves_are_refused(changes, reason):
    a, b = _pairing("a"), _pairing("b")
    answer, _ = b.answer("a", replace(_offer(a, "b"), **changes))
    assert isinstance(answer, Refused)
    assert reason in answer.reason


async def test_a_share_that_is_written_on_demand_is_offered_with_its_bounds():
    a, b = _pairing("a", share=False), _pairing("b")
    a.new_share(_share(1, name="a", codec="modulo"))
    offer = _offer(a, "b")
    assert (offer.share, offer.bounds) == (None, a.share().bounds)
    answer, engagement = b.answer("a", offer)
    assert isinstance(answer, Accepted)
    assert engagement.two_phase


async def test_a_partner_that_cannot_decode_us_is_told_so():
    a, b = _pairing("a"), _pairing("b")
    answer, _ = b.answer("a", replace(_offer(a, "b"), decodes=("fp32",)))
    assert isinstance(answer, Refused)
    assert "int8" in answer.reason


async def test_the_newest_fragment_is_sought_first_but_none_starves():
    a = _pairing("a", share=False)
    first, second = _share(1, fragment=0), _share(2, fragment=1)
    a.new_share(first)
    a.new_share(second)

    def order():
        return [share.fragment for share in sorted(a.waiting, key=a.urgency, reverse=True)]

    assert order() == [1, 0]
    a.miss(first)
    assert a.waiting == (second,)
    a.new_share(_share(3, fragment=0))
    a.new_share(_share(4, fragment=2))
    assert order() == [0, 2, 1], "what went without a mix last time goes first"


async def test_the_pace_is_the_median_time_between_boundaries():
    a = _pairing("a", share=False)
    a.next_boundary = 9.0
    a.new_share(_share(1))
    assert a.pace == 9.0
    for number, seconds in enumerate([1.0, 2.0, 30.0, 2.0], start=2):
        await trio.sleep(seconds)
        a.new_share(_share(number, fragment=number % 4))
        a.new_share(_share(100 + number, fragment=number % 4, fresh=False))
    assert a.pace == 2.0


async def test_a_share_is_sought_until_it_has_been_in_as_many_mixes_as_are_wanted():
    pairing = Pairing("a", decodes=("int8",), on_demand=(), sizes=SIZES, seeks=2)
    pairing.new_share(_share(1))
    (first,) = pairing.waiting
    engagement = pairing.end_offer(_accepting(pairing))
    assert isinstance(engagement, Engagement)
    pairing.disengage(engagement, mixed=True)
    assert pairing.waiting == ()
    pairing.new_share(altered(first, share=2, mixed=1))
    assert [share.share for share in pairing.waiting] == [2]
    pairing.new_share(altered(first, share=3, mixed=2))
    assert [share.share for share in pairing.waiting if pairing.wants_partner(share)] == []


def _accepting(pairing: Pairing) -> Accepted:
    offer = _offer(pairing, "b")
    return Accepted(outer_step=1, tokens=10, standing=64, share=offer.share, codec=offer.codec, bounds=None)
