"""The laws give the tables that they come from, and say so where they leave them."""

from itertools import product
from math import log2

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peer.plan import laws

sizes = st.floats(laws.SIZES[0], laws.SIZES[-1])
peers = st.integers(1, 8)


@pytest.mark.parametrize(("row", "column"), [*product(range(7), range(4))])
def test_at_its_points_the_loss_is_the_tables(row, column):
    term = laws.loss(laws.SIZES[row], laws.PEERS[column])
    assert term.nats == pytest.approx(laws.TABLE[row][column], abs=1e-9)
    assert (term.uncertainty, term.note) == (laws.INSIDE, "")


@settings(deadline=None)
@given(sizes, peers)
def test_larger_models_lose_less_and_more_peers_more(parameters, count):
    here = laws.loss(parameters, count).nats
    assert laws.loss(parameters * 1.1, count).nats < here
    # By the table, one peer at 30 steps is better than none at all, and two are worse.
    assert laws.loss(parameters, count + 1).nats > here


@pytest.mark.parametrize(
    ("parameters", "count", "measured"),
    # Table 5 of 2503.09799, beyond the table that we interpolate.
    [(4e9, 1, 2.219), (4e9, 2, 2.220), (4e9, 4, 2.230), (1e10, 1, 2.086), (1e10, 2, 2.086), (1e10, 4, 2.096)],
)
def test_beyond_the_table_the_uncertainty_covers_what_was_measured(parameters, count, measured):
    term = laws.loss(parameters, count)
    assert abs(term.nats - measured) <= term.uncertainty
    assert "larger than the largest" in term.note


def test_far_beyond_nothing_is_told():
    assert laws.loss(4e5, 4) is None
    assert laws.loss(1e12, 4) is None
    assert "16 peers" in laws.loss(1e9, 16).note


@pytest.mark.parametrize(
    # Streaming DiLoCo (2501.18512), table 7, M = 2: 1 B parameters, 25, 100 and 250 B tokens.
    ("tokens", "measured"),
    [(100e9, 2.51 - 2.66), (250e9, 2.45 - 2.66)],
)
def test_more_tokens_gain_what_over_training_gained(tokens, measured):
    ours = laws.of_tokens(1e9, tokens).nats - laws.of_tokens(1e9, 25e9).nats
    assert ours == pytest.approx(measured, abs=0.03)


def test_tokens_out_of_all_proportion_are_not_judged():
    assert laws.of_tokens(1e9, 1e9) is None
    assert laws.of_tokens(1e9, 2e10).nats == pytest.approx(0)


@pytest.mark.parametrize(
    # The joint law worked by hand.
    ("parameters", "sequences", "rate"),
    [(150e6, 99, 2.5e-3), (1.3e9, 273, 3.7e-4)],
)
def test_batch_is_in_sequences_and_the_rate_is_the_joint_laws(parameters, sequences, rate):
    assert laws.batch_tokens(parameters, 8) / 2048 == pytest.approx(sequences, rel=0.01)
    assert laws.learning_rate(parameters, 8) == pytest.approx(rate, rel=0.02)


def test_the_largest_fitted_batch_is_the_tokens_of_the_papers_figure():
    assert log2(laws.batch_tokens(2.4e9, 8)) == pytest.approx(19.4, abs=0.15)


def test_small_models_get_no_rate_without_bound():
    assert laws.learning_rate(4e5, 4) == laws.learning_rate(35e6, 4) < 0.01


def test_h_costs_beyond_what_was_measured_with_it():
    assert laws.of_every(30).nats == laws.of_every(10).nats == 0
    assert 0.01 <= laws.of_every(100).nats <= 0.04  # Streaming DiLoCo's tables 5 and 6
    assert laws.of_every(1000).nats - laws.of_every(50).nats == pytest.approx(0.029, abs=0.035)


@pytest.mark.parametrize(("count", "rate"), [(1, 0.4), (2, 0.6), (3, 0.6), (4, 0.6), (8, 0.8), (100, 0.8)])
def test_the_outer_rate_is_the_figures(count, rate):
    assert laws.diloco_outer_rate(count) == rate
