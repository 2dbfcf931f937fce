"""When waiting for others is worth it, and who joins whom."""

import pytest
import trio

from peer.swarm.engagement import OwnShare
from peer.swarm.gathering import ROOM, UNKNOWN, Gathering
from peer.swarm.group import Group, open_group
from protocol.group_calls import Form, GroupMember, Joins

pytestmark = pytest.mark.anyio

SPAN = 10.0
ID = bytes(16)


def _share(number: int) -> OwnShare:
    return OwnShare(number, 0, number, 7, 64, "fp32", None, None, bytes(32))


async def _gathering(own_id: str = "b", *, waits: bool = False) -> Gathering:
    """One that has shared twice, a span apart, and has begun to gather."""
    gathering = Gathering(own_id, 0, waits=waits)
    gathering.new_share(_share(1))
    await trio.sleep(SPAN)
    gathering.new_share(_share(2))
    gathering.begin()
    return gathering


async def test_nobody_waits_for_those_who_will_be_long():
    gathering = await _gathering()
    gathering.ask("a")
    assert gathering.waits_until(["a"]) > trio.current_time()
    gathering.note_due("a", SPAN)
    assert gathering.waits_until(["a"]) <= trio.current_time()


async def test_who_is_due_soon_is_waited_for_and_a_little_longer():
    gathering = await _gathering()
    gathering.note_due("a", 2.0)
    due = trio.current_time() + 2.0
    assert due < gathering.waits_until(["a"]) <= due + 1.0
    await trio.sleep(4.0)
    assert gathering.waits_until(["a"]) <= trio.current_time(), "it does not come"


async def test_waiting_ends_when_all_are_ready():
    gathering = await _gathering()
    gathering.note_due("a", 2.0)
    gathering.note_ready("a")
    assert gathering.waits_until(["a"]) <= trio.current_time()
    assert gathering.ready(["a", "c"]) == ["a"]
    assert gathering.ready([]) == [], "who is no longer here is not ready"


@pytest.mark.parametrize("few", [1, 2, 7, 15])
async def test_of_two_sets_that_fall_apart_one_waits_for_the_other(few):
    """For any distance of their boundaries: the limits of both add up to a whole outer step, and some."""
    count = 16
    limits = []
    for ready in (few, count - few):
        gathering = await _gathering("x")
        live = [str(place) for place in range(count - 1)]
        for place in range(ready - 1):
            gathering.note_ready(str(place))
        for place in range(ready - 1, count - 1):
            gathering.ask(str(place))
        limits.append(gathering.waits_until(live) - trio.current_time())
    assert sum(limits) == pytest.approx(ROOM * SPAN)


async def test_what_a_peer_said_before_is_asked_again():
    gathering = await _gathering()
    gathering.note_ready("a")
    gathering.ask("a")
    assert gathering.ready(["a"]) == []


async def test_a_peer_says_when_it_will_be_ready():
    gathering = Gathering("b", 0, waits=False)
    assert gathering.due("a") == UNKNOWN, "nobody should wait for a trainer that has not begun"
    gathering.next_boundary = 3.0
    assert gathering.due("a") == 3.0
    gathering = await _gathering()
    await trio.sleep(4.0)
    assert gathering.due("a") == pytest.approx(6.0)


async def test_a_trainer_that_stands_still_is_due_a_whole_span_after_it_goes_on():
    gathering = await _gathering(waits=True)
    await trio.sleep(4.0)
    assert gathering.due("a") == pytest.approx(SPAN)
    gathering.settle()
    await trio.sleep(4.0)
    assert gathering.due("a") == pytest.approx(SPAN - 4.0)


async def test_the_smallest_of_those_who_invite_stands():
    gathering = await _gathering("c")
    assert gathering.join("b", ID, 8.0)
    assert not gathering.join("d", ID, 8.0)
    assert gathering.join("a", ID, 8.0)
    assert gathering.promise.leader == "a"


async def test_who_invites_itself_gives_way_to_a_smaller_peer_only():
    gathering = await _gathering("b")
    gathering.inviting = trio.CancelScope()
    assert not gathering.join("c", ID, 8.0)
    assert gathering.join("a", ID, 8.0)
    assert gathering.inviting.cancel_called


async def test_the_list_of_another_than_whom_we_joined_is_not_taken():
    gathering = await _gathering("b")
    gathering.join("a", ID, 8.0)
    assert not gathering.enter(_group("a", invitation=bytes([1] * 16)))
    assert not gathering.enter(_group("c"))
    assert not gathering.enter(_group("a", reference=bytes([1] * 32))), "we did not begin from that"
    assert gathering.enter(_group("a", reference=bytes(32)))
    assert not gathering.join("a", ID, 8.0), "one group at a time"


async def test_an_invitation_can_be_called_off_by_its_sender():
    gathering = await _gathering("b")
    gathering.join("a", ID, 8.0)
    gathering.call_off("c", ID)
    assert gathering.promise is not None
    gathering.call_off("a", ID)
    assert gathering.promise is None


async def test_a_share_that_was_never_tried_is_overtaken_by_the_next():
    gathering = await _gathering()
    assert [share.share for share in gathering.take_shares()] == [1, 2]
    assert gathering.take_shares() == []
    gathering.withdraw()
    assert gathering.share is None


def _group(leader: str, *, invitation: bytes = ID, reference: bytes | None = None) -> Group:
    members = tuple(GroupMember(peer_id=name, tokens=7, standing=64) for name in "abc")
    form = Form(invitation=invitation, fragment=0, members=members, reference=reference)
    group = open_group(form, leader, "b", Joins(tokens=7, standing=64, reference=None), 3)
    assert isinstance(group, Group)
    return group
