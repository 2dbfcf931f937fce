"""A whole run's curve in bounded memory."""

import math
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from peer.telemetry.history import MOST, History, Kept


def _of(values, most=MOST):
    history = History(most)
    for step, value in enumerate(values, 1):
        history.note(step, value)
    return history


def test_a_short_run_is_kept_as_it_was():
    assert _of([3.0, 2.0, 1.0]).points() == ((1, 3.0), (2, 2.0), (3, 1.0))


@pytest.mark.parametrize("steps", [8, 9, 17, 1000, 4096])
def test_a_long_run_is_kept_whole_with_halved_resolution(steps):
    points = _of(range(1, steps + 1), most=8).points()
    assert 4 <= len(points) <= 8
    assert points[-1][0] == steps
    widths = {last - first for (first, _), (last, _) in pairwise(points[:-1])}
    assert len(widths) <= 1, "even"
    for (before, _), (step, value) in zip([(0, 0.0), *points], points, strict=False):
        assert value == pytest.approx((before + 1 + step) / 2), "the mean over its steps"


def test_a_report_over_many_steps_weighs_as_many():
    history = History(most=1)
    history.note(3, 2.0, steps=3)
    history.note(4, 6.0)
    assert history.points() == ((4, 3.0),)


def test_a_trainer_that_goes_back_takes_its_curve_with_it():
    history = _of([5.0, 4.0, 3.0, 2.0])
    history.go_back(2)
    assert history.points() == ((1, 5.0), (2, 4.0))
    history.note(3, 9.0)
    assert history.points()[-1] == (3, 9.0)


def test_a_step_that_is_told_again_replaces_what_followed_it():
    history = _of([5.0, 4.0, 3.0, 2.0])
    history.note(2, 7.0)
    assert history.points() == ((1, 5.0), (2, 7.0))


def test_a_wide_report_that_is_cut_stays_in_order():
    history = History()
    history.note(71, 0.0, steps=3)
    history.note(70, 1.0)
    history.note(71, 2.0)
    assert history.points() == ((69, 0.0), (70, 1.0), (71, 2.0))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_spoils_nothing(value):
    history = _of([5.0, value, 3.0], most=1)
    assert history.points() == ((3, 4.0),)


def test_a_newcomer_begins_in_the_middle():
    history = History(4)
    for step in range(1_000_000, 1_000_100):
        history.note(step, 2.0)
    points = history.points()
    assert 2 <= len(points) <= 4
    assert points[-1] == (1_000_099, 2.0)


@given(st.lists(st.tuples(st.integers(1, 300), st.integers(1, 50), st.floats(-10, 10)), max_size=60))
def test_it_stays_bounded_and_in_order_whatever_is_told(reports):
    history = History(8)
    for step, steps, value in reports:
        history.note(step, value, min(steps, step))
        points = history.points()
        assert len(points) <= 8
        assert [at for at, _ in points] == sorted({at for at, _ in points})
        assert points[-1][0] == step
        assert all(-10.001 <= each <= 10.001 for _, each in points)


@given(st.lists(st.floats(0, 10), min_size=1, max_size=100))
def test_what_is_kept_is_restored(values):
    history, other = _of(values, most=8), History(8)
    other.restore(msgspec.json.decode(msgspec.json.encode(history.kept()), type=Kept))
    assert other.points() == history.points()
    for each in (history, other):
        each.note(len(values) + 1, 1.0)
    assert other.points() == history.points()


@pytest.mark.parametrize(
    "kept", [Kept(0, [(1, 1, 2.0)]), Kept(4, [(5, 1, 2.0), (1, 1, 2.0), (6, 0, 2.0)]), Kept(-3, [])]
)
def test_a_file_that_makes_no_sense_does_no_harm(kept):
    history = History(8)
    history.restore(kept)
    history.note(9, 1.0)
    assert history.points()[-1] == (9, 1.0)
