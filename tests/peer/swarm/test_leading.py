"""The leader's book of one group: what members report, and what follows from it."""

import pytest
import trio

from peer.swarm.group import Group, open_group
from peer.swarm.leading import HEARTBEAT, LOST, Leading
from protocol.group_calls import Average, Form, GroupMember, Joins, Report

pytestmark = pytest.mark.anyio

COUNT = 4


def _leading() -> Leading:
    members = tuple(GroupMember(peer_id=str(place), tokens=1, standing=64) for place in range(COUNT))
    form = Form(invitation=bytes(16), fragment=0, members=members, reference=None)
    group = open_group(form, "0", "0", Joins(tokens=1, standing=64, reference=None), COUNT)
    assert isinstance(group, Group)
    return Leading(group, 100)


def _average(part: int, mark: int = 0, size: int = 10) -> Average:
    return Average(part=part, sha256=bytes([part, mark]) + bytes(30), size=size)


def _report(leading: Leading, *averages: Average, holds=False, lacks=(), seen=None) -> Report:
    seen = leading.state().version if seen is None else seen
    return Report(group=leading.group.id, seen=seen, averages=averages, holds=holds, lacks=lacks)


def _averaged() -> Leading:
    leading = _leading()
    for part in range(COUNT):
        leading.take(part, _report(leading, _average(part)))
    return leading


async def test_two_members_that_hold_all_averages_commit_the_group():
    leading = _averaged()
    leading.take(2, _report(leading, holds=True))
    assert leading.state().stage == "open"
    leading.take(2, _report(leading, holds=True))
    assert leading.state().stage == "open", "one member counts once"
    leading.take(0, _report(leading, holds=True))
    assert leading.state().stage == "committed"
    assert [average.part for average in leading.state().averages] == [0, 1, 2, 3]


async def test_the_list_is_final_once_it_is_committed():
    leading = _averaged()
    for member in (0, 1):
        leading.take(member, _report(leading, holds=True))
    before = leading.state()
    leading.take(3, _report(leading, _average(3, mark=1), lacks=(0, 1, 2)))
    leading.lose(1)
    leading.give_up()
    assert leading.state() == before


async def test_nobody_can_hold_a_list_that_is_not_whole():
    leading = _leading()
    for member in (0, 1):
        leading.take(member, _report(leading, holds=True))
    assert leading.state().stage == "open"


@pytest.mark.parametrize(
    ("member", "average"),
    [(1, _average(2)), (1, _average(60)), (1, _average(1, size=101))],
    ids=["of another's part", "of no part", "too large"],
)
async def test_averages_that_a_member_does_not_owe_are_ignored(member, average):
    leading = _leading()
    leading.take(member, _report(leading, average))
    assert leading.state().averages == ()


async def test_an_average_cannot_be_changed():
    leading = _leading()
    leading.take(1, _report(leading, _average(1)))
    leading.take(1, _report(leading, _average(1, mark=1)))
    assert leading.state().averages == (_average(1),)


async def test_a_silent_member_is_lost_and_the_next_averages_its_part():
    leading = _leading()
    with trio.move_on_after(LOST + 2):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(leading.watch)
            while True:
                for member in (0, 1, 3):
                    leading.take(member, _report(leading))
                await trio.sleep(HEARTBEAT)
    state = leading.state()
    assert state.lost == (2,)
    assert state.owners == (0, 1, 3, 3)
    assert leading.unfit == {2}


async def test_without_two_members_there_is_no_group():
    leading = _leading()
    for member in (1, 2, 3):
        assert leading.state().stage == "open"
        leading.lose(member)
    assert leading.state().stage == "void"


async def test_an_average_whose_owner_is_gone_and_that_nobody_has_is_made_anew():
    leading = _averaged()
    leading.take(0, _report(leading, holds=True))
    leading.lose(1)
    leading.take(2, _report(leading, lacks=(1,)))
    state = leading.state()
    assert [average.part for average in state.averages] == [0, 2, 3]
    assert state.owners == (0, 2, 2, 3)
    leading.take(2, _report(leading, _average(1, mark=1), _average(2)))
    leading.take(3, _report(leading, holds=True, seen=1))
    leading.take(0, _report(leading, holds=True))
    assert leading.state().stage == "open", "who holds the old list holds nothing"


async def test_one_member_alone_cannot_do_away_with_an_average():
    leading = _averaged()
    leading.take(2, _report(leading, lacks=(1,)))
    leading.take(2, _report(leading, lacks=(1,)))
    assert len(leading.state().averages) == COUNT
    leading.take(3, _report(leading, lacks=(1,)))
    assert leading.state().owners[1] == 2
    assert leading.unfit == {1}


async def test_what_was_lacking_in_an_older_list_does_not_count():
    leading = _averaged()
    for member in (2, 3):
        leading.take(member, _report(leading, lacks=(1,), seen=1))
    assert len(leading.state().averages) == COUNT


async def test_a_commitment_that_nobody_heard_of_is_taken_back_and_only_that():
    leading = _averaged()
    for member in (0, 1):
        leading.take(member, _report(leading, holds=True))
    leading.take(0, _report(leading))
    assert not leading.heard.is_set(), "that the leader knows of it itself is no help"
    leading.revoke()
    assert leading.state().stage == "void"
    leading = _averaged()
    for member in (0, 1):
        leading.take(member, _report(leading, holds=True))
    leading.take(1, _report(leading))
    leading.revoke()
    assert leading.state().stage == "committed"


async def test_an_answer_comes_with_the_news_or_as_a_sign_of_life():
    leading = _leading()
    began = trio.current_time()
    old = await leading.answer(1, _report(leading))
    assert trio.current_time() - began == pytest.approx(HEARTBEAT)
    leading.take(2, _report(leading, _average(2)))
    new = await leading.answer(1, _report(leading, seen=old.version))
    assert new.averages == (_average(2),)
    assert trio.current_time() - began == pytest.approx(HEARTBEAT)
