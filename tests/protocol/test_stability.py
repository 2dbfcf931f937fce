import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from protocol.stability import allowed_beta, noloco_gamma_bound, why_unstable

Array = NDArray[np.float64]
OPTIMISERS = ["heavy_ball", "nesterov"]
alphas = st.floats(0, 0.97)


@pytest.mark.parametrize(
    ("alpha", "bound"), [(0.0, 2.00), (0.3, 1.82), (0.5, 1.50), (0.7, 1.02), (0.9, 0.38)]
)
def test_the_table_of_bounds_for_pairs(alpha: float, bound: float) -> None:
    assert noloco_gamma_bound(alpha) == pytest.approx(bound, abs=0.005)


def test_momentum_costs_less_where_a_share_mixes_more_often() -> None:
    assert [noloco_gamma_bound(0.5, mixes) for mixes in (1, 2, 3)] == pytest.approx([1.5, 2.0, 2.4])


def outer_step(optimiser: str, alpha: float, beta: float, converged: float) -> tuple[Array, Array]:
    """One outer step of (x, m) as a matrix, and what a unit of e adds to both.

    `converged` is how far the inner steps go towards the minimum: θ = (1 - converged)·x, so that the step
    sees the pseudo-gradient -converged·x + (1 - converged)·e.
    """
    if optimiser == "heavy_ball":
        momentum = np.array([-converged * beta, alpha])
        pull = np.array([beta, beta])
        matrix = np.stack([np.array([1, 0]) + momentum, momentum])
    else:
        momentum = np.array([-converged, alpha])
        pull = np.array([beta * (1 + alpha), 1.0])
        matrix = np.stack([np.array([1 - converged * beta, 0]) + alpha * beta * momentum, momentum])
    return matrix, (1 - converged) * pull


def growth_of_distance(
    optimiser: str, alpha: float, beta: float, mixes: int, converged: float = 0.0
) -> float:
    """The largest eigenvalue of the second-moment map, by building it column by column."""
    matrix, pull = outer_step(optimiser, alpha, beta, converged)
    step = np.column_stack([matrix, pull])
    u = 1 - 2.0**-mixes
    columns = []
    for xx, xm, mm in np.eye(3):
        moments = np.array([[xx, xm, -u * xx], [xm, mm, -u * xm], [-u * xx, -u * xm, u * xx]])
        after = step @ moments @ step.T
        columns.append([after[0, 0], after[0, 1], after[1, 1]])
    return float(np.abs(np.linalg.eigvals(np.array(columns).T)).max())


def growth_of_mean(optimiser: str, alpha: float, beta: float, converged: float = 1.0) -> float:
    matrix, _ = outer_step(optimiser, alpha, beta, converged)
    return float(np.abs(np.linalg.eigvals(matrix)).max())


@pytest.mark.parametrize("optimiser", OPTIMISERS)
@given(alpha=alphas, mixes=st.integers(1, 6))
def test_the_distance_begins_to_grow_exactly_at_the_bound(optimiser: str, alpha: float, mixes: int) -> None:
    low, high = allowed_beta(optimiser, False, alpha, mixes)  # type: ignore[arg-type]
    assert low == 0
    assert growth_of_distance(optimiser, alpha, 0.999 * high, mixes) < 1
    assert growth_of_distance(optimiser, alpha, high, mixes) == pytest.approx(1)
    assert growth_of_distance(optimiser, alpha, 1.001 * high, mixes) > 1


@pytest.mark.parametrize("optimiser", OPTIMISERS)
@given(alphas, st.integers(1, 6), st.floats(0.01, 0.999), st.floats(0, 1))
def test_within_the_bound_nothing_grows_however_far_the_inner_steps_go(
    optimiser: str, alpha: float, mixes: int, fraction: float, converged: float
) -> None:
    beta = fraction * allowed_beta(optimiser, False, alpha, mixes)[1]  # type: ignore[arg-type]
    assert growth_of_distance(optimiser, alpha, beta, mixes, converged) < 1
    assert growth_of_mean(optimiser, alpha, beta, converged) < 1 + 1e-12


@pytest.mark.parametrize("optimiser", OPTIMISERS)
@given(alpha=alphas, mixes=st.integers(1, 6))
def test_with_mixed_momentum_only_the_mean_can_grow(optimiser: str, alpha: float, mixes: int) -> None:
    low, high = allowed_beta(optimiser, True, alpha, mixes)  # type: ignore[arg-type]
    assert low == 0
    assert growth_of_mean(optimiser, alpha, 0.999 * high) < 1
    assert growth_of_mean(optimiser, alpha, 1.001 * high) > 1


@pytest.mark.parametrize(
    ("alpha", "mixes", "fraction", "grows"),
    [
        (0.5, 1, 0.8, False),
        (0.5, 1, 1.3, True),
        (0.9, 1, 1.6, True),
        (0.7, 2, 0.8, False),
        (0.7, 2, 1.3, True),
    ],
)
def test_a_simulated_swarm_agrees(alpha: float, mixes: int, fraction: float, *, grows: bool) -> None:
    """Random pairs among 8,192 peers without gradients, each share averaged `mixes` times a step."""
    generator = np.random.default_rng(7)
    x, m = generator.standard_normal(8192), np.zeros(8192)
    x -= x.mean()
    beta, steps = fraction * noloco_gamma_bound(alpha, mixes), 80
    for _ in range(steps):
        share = x.copy()
        for _ in range(mixes):
            pairs = generator.permutation(8192).reshape(-1, 2)
            share[pairs] = share[pairs].mean(axis=1, keepdims=True)
        m = alpha * m + beta * (share - x)
        x += m
    growth = np.mean(x**2) ** (1 / steps)
    assert (growth > 1) == grows
    assert growth == pytest.approx(growth_of_distance("heavy_ball", alpha, beta, mixes), rel=0.05)


def test_the_presets_are_inside() -> None:
    assert noloco_gamma_bound(0.5) > 0.7
    assert allowed_beta("nesterov", True, 0.9, 2)[1] > 0.7
    assert noloco_gamma_bound(0.9) < 0.7, "NoLoCo with DiLoCo's momentum diverges"


@pytest.mark.parametrize(
    ("alpha", "mixes", "names"), [(1.0, 1, "alpha"), (-0.1, 1, "alpha"), (0.5, 0, "mixes")]
)
def test_a_constant_outside_its_range_is_refused_by_name(alpha: float, mixes: int, names: str) -> None:
    with pytest.raises(ValueError, match=names):
        noloco_gamma_bound(alpha, mixes)


def test_the_two_reasons_differ() -> None:
    assert "each keeps its own momentum" in why_unstable(mixed_momentum=False)
    assert "overshoots" in why_unstable(mixed_momentum=True)
