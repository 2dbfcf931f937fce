"""Who is behind, and who only seems to be: slow hosts, liars, others that come back, and a swarm of two."""

import random

import pytest

from peer.swarm.behind import FAR, MOST_PARTNERS, REFUSALS, Behind
from peer.swarm.view import AVOIDED_FIRST, View
from protocol.identity import Identity
from protocol.limits import MAX_PROGRESS
from protocol.records import PeerRecord, sign_record

pytestmark = pytest.mark.anyio

RUN = b"r" * 32


class Swarm:
    """Us, at outer step 1,000, and whom we see."""

    def __init__(self):
        self.view = View(Identity(b"o" * 32).peer_id, RUN, rng=random.Random(0))
        self.behind = Behind(self.view)
        self.behind.stepped(1000)
        self._sequence = 0

    def see(self, index, outer_step, *, away=False):
        """See a peer that says so of itself."""
        identity = Identity(index.to_bytes(32, "big"))
        self._sequence += 1
        record = PeerRecord(
            run_id=RUN,
            peer_id=identity.peer_id,
            sequence=self._sequence,
            addresses=(),
            shard=0,
            outer_step=outer_step,
            away=away,
        )
        self.view.learn(sign_record(record, identity))
        self.view.answered(identity.peer_id)
        return identity.peer_id

    def refused_by(self, *partners):
        for partner in partners:
            self.behind.met(partner, fit=False)


@pytest.fixture
async def swarm():
    return Swarm()


async def test_far_behind_and_refused_by_several(swarm):
    one, two, three = (swarm.see(index, 1200 + index) for index in range(3))
    assert swarm.behind.steps() is None, "what others say alone moves nobody: a slower host is always behind"
    swarm.refused_by(one)
    swarm.refused_by(one)
    assert swarm.behind.steps() is None, "one of three refuses, and may be a liar"
    swarm.refused_by(three)
    assert swarm.behind.steps() == 201, "the claim in the middle"
    swarm.behind.met(two, fit=True)
    assert swarm.behind.steps() == 201, "two of three refuse"
    swarm.behind.met(one, fit=True)
    assert swarm.behind.steps() is None


async def test_refusals_without_a_lead_and_a_lead_without_refusals_mean_nothing(swarm):
    partners = [swarm.see(index, 1000 + FAR) for index in range(3)]
    for _ in range(REFUSALS):
        swarm.refused_by(*partners)
    assert swarm.behind.steps() is None, "so near, a mix that is refused has another cause"
    for index in range(2):
        swarm.see(index, 1001 + FAR)
    assert swarm.behind.steps() == FAR + 1
    swarm.behind.stepped(1001)
    assert swarm.behind.steps() is None


@pytest.mark.parametrize("honest", [1, 2, 3])
async def test_one_liar_moves_nobody(swarm, honest):
    liar = swarm.see(9, MAX_PROGRESS)
    for index in range(honest):
        swarm.behind.met(swarm.see(index, 1000), fit=True)
    for _ in range(10):
        swarm.refused_by(liar)
    assert swarm.behind.steps() is None
    assert not swarm.behind.outdated


async def test_a_single_peer_is_believed_by_one_that_was_away(swarm):
    founder = swarm.see(1, 1500)
    swarm.refused_by(founder, founder)
    assert swarm.behind.steps() is None, "it may as well be a liar, and we healthy"
    swarm.behind.stood_still()
    assert swarm.behind.steps() is None, "what was refused before the pause tells nothing"
    swarm.refused_by(founder)
    assert swarm.behind.steps() is None, "once is no rule"
    swarm.refused_by(founder)
    assert swarm.behind.steps() == 500


async def test_a_short_pause_is_over_with_the_first_mix(swarm):
    founder = swarm.see(1, 1500)
    swarm.behind.stood_still()
    assert (swarm.behind.away, swarm.behind.outdated) == (True, True)
    swarm.behind.met(founder, fit=True)
    assert (swarm.behind.away, swarm.behind.outdated, swarm.behind.steps()) == (False, False, None)


async def test_two_that_come_back_together_do_not_take_each_other_for_the_swarm(swarm):
    swarm.behind.stood_still()
    back = swarm.see(1, 990, away=True)
    there = swarm.see(2, 1500)
    swarm.behind.met(back, fit=True)
    assert swarm.behind.away
    swarm.refused_by(there, there)
    assert swarm.behind.steps() == 500


async def test_where_all_have_been_away_what_they_say_counts(swarm):
    swarm.behind.stood_still()
    one = swarm.see(1, 1500, away=True)
    assert not swarm.behind.outdated, "a newcomer may have our state: nobody has a better one"
    swarm.refused_by(one, one)
    assert swarm.behind.steps() == 500
    swarm.behind.met(one, fit=True)
    assert not swarm.behind.away


@pytest.mark.parametrize("claim", [0, 1000, MAX_PROGRESS])
async def test_one_that_says_it_stayed_does_not_keep_many_that_come_back_away(swarm, claim):
    swarm.behind.stood_still()
    honest = [swarm.see(index, 1000, away=True) for index in range(3)]
    liar = swarm.see(9, claim)
    assert swarm.behind.outnumbered() is None
    swarm.refused_by(liar, liar)
    assert swarm.behind.steps() is None
    assert (swarm.behind.outnumbered() is None) == (claim <= 1000), "who may be no liar is told of"
    assert not swarm.behind.outdated, "newcomers get our state"
    swarm.behind.met(honest[0], fit=True)
    assert not swarm.behind.away


async def test_one_that_is_not_ahead_keeps_not_even_two_away(swarm):
    swarm.behind.stood_still()
    friend = swarm.see(1, 1000, away=True)
    swarm.see(9, 1000 + FAR)
    assert not swarm.behind.outdated
    swarm.behind.met(friend, fit=True)
    assert not swarm.behind.away


async def test_a_state_that_was_old_when_it_came_is_fetched_anew(swarm):
    founder = swarm.see(1, 1500)
    swarm.behind.came_in(1400)
    swarm.refused_by(founder, founder)
    assert swarm.behind.steps() == 100, "of two, one that has just caught up would else never mix again"


async def test_one_refused_group_is_one_refusal(swarm):
    members = [swarm.see(index, 1200) for index in range(5)]
    swarm.behind.met(*members, fit=True)
    for count in range(3):
        assert swarm.behind.steps() is None, f"{count} groups may have had one bad member each"
        swarm.behind.met(*members, fit=False)
    assert swarm.behind.steps() == 200
    swarm.behind.met(*members, fit=True)
    assert swarm.behind.steps() is None


async def test_before_the_trainer_has_begun_nobody_is_behind_and_every_state_fits(swarm):
    fresh = Behind(swarm.view)
    one, two = swarm.see(1, 500), swarm.see(2, 500)
    for partner in (one, two):
        fresh.met(partner, fit=False)
    assert (fresh.steps(), fresh.outer_step, fresh.fit(0)) == (None, None, True)


async def test_a_state_is_worth_its_bytes_only_from_ahead(swarm):
    assert [swarm.behind.fit(1000 + lead) for lead in (-1, FAR, FAR + 1)] == [False, False, True]


async def test_who_admits_it_blames_nobody_and_needs_new_refusals_to_say_it_again(swarm):
    partners = [swarm.see(index, 1200) for index in range(2)]
    for partner in partners:
        swarm.view.exchanged(partner, well=False)
        assert 0 < swarm.view.avoided(partner) <= AVOIDED_FIRST
    swarm.refused_by(*partners)
    assert swarm.behind.steps() == 200
    swarm.behind.admit()
    assert [swarm.view.avoided(partner) for partner in partners] == [0, 0]
    assert swarm.view.draw() is not None
    assert swarm.behind.steps() is None
    swarm.refused_by(*partners)
    assert swarm.behind.steps() == 200
    swarm.behind.came_in(1210)
    assert (swarm.behind.steps(), swarm.behind.outer_step, swarm.behind.away) == (None, 1210, True)
    swarm.behind.met(partners[0], fit=True)
    assert not swarm.behind.away


async def test_many_partners_are_forgotten_in_turn(swarm):
    partners = [swarm.see(index, 1200) for index in range(MOST_PARTNERS + 2)]
    swarm.refused_by(*partners[:2])
    assert swarm.behind.steps() == 200
    for partner in partners[2:]:
        swarm.behind.met(partner, fit=True)
    assert swarm.behind.steps() is None
