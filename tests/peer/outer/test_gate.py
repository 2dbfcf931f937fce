import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from peer.outer.gate import check, distance
from peer.outer.rule import PRESETS
from tests.peer.outer.rules import TWO_TENSORS

NOLOCO = PRESETS["noloco"]
MINE = torch.tensor([3.0, 4.0])


def test_distance_by_hand() -> None:
    apart = distance(MINE, torch.tensor([3.0, 5.0]))
    assert apart.rms == pytest.approx(1 / math.sqrt(2))
    assert apart.relative == pytest.approx(1 / 5)


def test_distance_from_zero_weights() -> None:
    assert distance(torch.zeros(4), torch.ones(4)).relative == math.inf
    assert distance(torch.zeros(4), torch.zeros(4)).relative == 0


@given(st.integers(0, 2**32 - 1), st.floats(0, 0.9))
def test_a_replica_passes(seed: int, apart: float) -> None:
    mine, noise = torch.randn(2, 500, generator=torch.Generator().manual_seed(seed))
    theirs = mine + apart * noise * mine.norm() / noise.norm()
    assert check(NOLOCO, (mine,), (theirs,)) is None


@given(st.floats(width=32), st.integers(0, 1))
def test_whatever_passes_is_finite_and_near(value: float, index: int) -> None:
    theirs = MINE.clone()
    theirs[index] = value
    if check(NOLOCO, (MINE,), (theirs,)) is None:
        assert torch.isfinite(theirs).all()
        assert (theirs - MINE).norm() <= max(MINE.norm(), theirs.norm())


def test_a_long_vectors_distance_is_exact_enough() -> None:
    mine = torch.full((30_000_000,), 0.02)
    assert distance(mine, 1.5 * mine).rms == pytest.approx(0.01, rel=1e-3)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_refused(value: float) -> None:
    reason = check(NOLOCO, (MINE,), (torch.tensor([3.0, value]),))
    assert reason == "its theta holds a value that is not finite"


def test_another_length_is_refused() -> None:
    assert check(NOLOCO, (MINE,), (torch.zeros(3),)) == "its theta has shape (3,), ours (2,)"
    assert check(TWO_TENSORS, (MINE, MINE), (MINE,)) == "it has 1 tensors, ours 2"


@pytest.mark.parametrize("scale", [0.0, 0.2, -1.0, 3.0, 4.1, 10.0, 3e37])
def test_weights_that_are_no_replica_are_refused_with_the_figures(scale: float) -> None:
    reason = check(NOLOCO, (MINE,), (scale * MINE,))
    assert reason is not None
    assert reason.startswith("its theta differs from ours by")


@pytest.mark.parametrize("growth", [0.1, 1.0, 2.0, 3.0])
def test_weights_at_a_right_angle_are_refused_whatever_their_size(growth: float) -> None:
    other = growth * torch.tensor([-4.0, 3.0])
    assert check(NOLOCO, (MINE,), (other,)) is not None


@pytest.mark.parametrize("growth", [0.5, 1.5, 2.5])
def test_a_replica_that_has_trained_longer_or_less_may_mix(growth: float) -> None:
    trained = growth * MINE + torch.tensor([-0.8, 0.6]) * 0.5
    assert check(NOLOCO, (MINE,), (trained,)) is None
    assert check(NOLOCO, (trained,), (MINE,)) is None


def test_nothing_mixes_with_weights_of_ours_that_are_broken() -> None:
    assert check(NOLOCO, (torch.tensor([3.0, math.nan]),), (MINE,)) is not None


def at(ratio: float, cosine: float) -> torch.Tensor:
    """Return weights of `ratio` norms of ours at an angle to them."""
    along, across = MINE, torch.tensor([-4.0, 3.0])
    return ratio * (cosine * along + math.sqrt(1 - cosine * cosine) * across)


@pytest.mark.parametrize(
    ("ratio", "cosine"), [(1.0, 0.72), (1.81, 0.52), (2.49, 0.36), (2.48, 0.44), (2.76, 0.32)]
)
def test_pairs_as_they_were_measured_may_mix(ratio: float, cosine: float) -> None:
    """Norm ratios and cosines of honest peers of one run, 0 to 48 inner steps apart."""
    assert check(NOLOCO, (MINE,), (at(ratio, cosine),)) is None
    assert check(NOLOCO, (at(ratio, cosine),), (MINE,)) is None


def test_weights_that_point_elsewhere_are_refused_even_if_they_are_near_for_their_size() -> None:
    theirs = at(2.7, 0.25)
    assert (theirs - MINE).norm() < theirs.norm()
    reason = check(NOLOCO, (MINE,), (theirs,))
    assert reason is not None
    assert reason.endswith("points elsewhere: the cosine is 0.25, below 0.3")


def test_noise_can_outweigh_our_weights_only_so_far() -> None:
    """Up to 1.9 norms it looks like a fast peer's progress; beyond it grows too large."""
    noise = torch.tensor([-4.0, 3.0])
    assert check(NOLOCO, (MINE,), (MINE + 1.9 * noise,)) is None
    assert check(NOLOCO, (MINE,), (MINE + 2.7 * noise,)) is not None


def test_a_newcomer_without_momentum_may_mix_with_one_that_has_some() -> None:
    none, some = torch.zeros(2), torch.tensor([0.5, -0.5])
    assert check(TWO_TENSORS, (MINE, none), (MINE, some)) is None
    assert check(TWO_TENSORS, (MINE, some), (MINE, none)) is None


def test_a_momentum_beyond_the_weights_is_refused() -> None:
    reason = check(TWO_TENSORS, (MINE, torch.zeros(2)), (MINE, torch.tensor([0.0, 5.5])))
    assert reason is not None
    assert reason.startswith("its momentum differs from ours by 5.5 in norm")


@pytest.mark.parametrize("usual", [0.0, 0.01])
def test_a_momentum_far_beyond_ours_is_refused(usual: float) -> None:
    ours, theirs = usual * MINE, 0.99 * torch.tensor([-4.0, 3.0])
    assert check(TWO_TENSORS, (MINE, ours), (MINE, theirs)) is not None
    assert check(TWO_TENSORS, (MINE, ours), (MINE, 0.3 * theirs)) is None


def test_a_large_momentum_of_ours_does_not_let_in_what_exceeds_the_weights() -> None:
    assert check(TWO_TENSORS, (MINE, 0.5 * MINE), (MINE, -0.6 * MINE)) is not None
