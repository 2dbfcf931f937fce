"""Pauses that begin late, end late, and do not flap."""

import pytest

from peer.governor.holding import LONGEST, Holding

GPU = {"gpu": "GPU 0 is used by blender (pid 4242)"}
HOT = {"temperature": "GPU 0 is at 81 °C, over the limit of 80 °C"}


def look(holding, wanted, at, *, at_once=False):
    """Take in a look; return kinds and reasons."""
    return {
        pause.kind: pause.reason for pause in holding.update(wanted, at=at, wall=1e9 + at, at_once=at_once)
    }


def run(holding, looks):
    """Take in (seconds, wanted) and return whether each is followed by a pause."""
    return [bool(look(holding, wanted, at)) for at, wanted in looks]


def test_a_moment_on_the_gpu_pauses_nothing():
    assert run(Holding(), [(0, GPU), (3, {}), (5, GPU), (8, {}), (10, GPU)]) == [False] * 5


def test_what_lasts_pauses_and_must_be_away_for_a_minute():
    looks = [(0, GPU), (5, GPU), (10, {}), (60, {}), (64, {}), (65, {}), (70, {})]
    assert run(Holding(), looks) == [False, True, True, True, True, False, False]


def test_what_comes_back_within_the_minute_begins_it_anew():
    looks = [(0, GPU), (5, GPU), (50, {}), (55, GPU), (60, {}), (114, {}), (115, {})]
    assert run(Holding(), looks) == [False, True, True, True, True, True, False]


@pytest.mark.parametrize("kind", ["hours", "keyboard", "disk", "data"])
def test_others_begin_and_end_at_once(kind):
    assert run(Holding(), [(0, {kind: "x"}), (1, {}), (2, {kind: "x"})]) == [True, False, True]


def test_the_first_look_and_the_one_after_a_change_wait_for_nothing():
    holding = Holding()
    assert look(holding, GPU, 0, at_once=True) == GPU
    assert look(holding, {}, 1) == GPU
    assert look(holding, {}, 2, at_once=True) == {}


def test_each_reason_is_held_separately():
    holding = Holding()
    look(holding, GPU | HOT, 0)
    assert look(holding, GPU | HOT | {"hours": "h"}, 5) == GPU | HOT | {"hours": "h"}
    assert look(holding, HOT, 10) == GPU | HOT
    assert look(holding, HOT, 66) == HOT
    assert holding.held == {"temperature"}
    assert look(holding, {}, 130) == {}


def test_a_figure_that_moves_is_no_news_and_another_process_is():
    holding = Holding()
    first = holding.update(HOT | GPU, at=0, wall=7.0, at_once=True)
    again = holding.update({"temperature": "at 90", "gpu": "used by a game"}, at=5, wall=12.0)
    assert [pause.reason for pause in again] == [HOT["temperature"], "used by a game"]
    assert {pause.since for pause in (*first, *again)} == {7.0}


def test_what_comes_again_and_again_rests_twice_as_long_each_time():
    holding, at, rests = Holding(), 0.0, []
    for _ in range(7):
        look(holding, HOT, at)
        assert look(holding, HOT, at + 5)
        began = at = at + 5
        while look(holding, {}, at):
            at += 5
        rests.append(at - began)
        at += 30
    assert rests == [60, 120, 240, 480, 960, LONGEST, LONGEST]


def test_after_a_quiet_while_the_rest_is_short_again():
    holding = Holding()
    for begin, rest in ((0, 60), (100, 120), (1000, 60)):
        look(holding, HOT, begin)
        assert look(holding, HOT, begin + 5)
        assert look(holding, {}, begin + 5 + rest - 1)
        assert not look(holding, {}, begin + 5 + rest)
