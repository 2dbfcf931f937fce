"""Our step-then-mix against the papers' formulas: every value of 4 peers over 6 outer steps."""

import numpy as np
import pytest
import torch

from peer.outer.rule import Rule, derive
from tests.peer.outer.reference import (
    PAIRINGS,
    SECOND_PAIRINGS,
    START,
    Pairs,
    Round,
    diloco,
    gossip,
    inner_steps,
    mixing_phi_and_momentum,
    noloco,
)
from tests.peer.outer.rules import TWO_TENSORS
from tests.peer.outer.swarm import Replica, full_round, swarm

ONCE = [[pairs] for pairs in PAIRINGS]
TWICE = [list(both) for both in zip(PAIRINGS, SECOND_PAIRINGS, strict=True)]

CASES = {
    "noloco": (derive("noloco"), ONCE, noloco(0.5, 0.7, 0.7, PAIRINGS)),
    "noloco strict": (derive("noloco", overlap=False), ONCE, noloco(0.5, 0.7, 0.7, PAIRINGS)),
    "noloco 0.3 0.9": (
        derive("noloco", alpha=0.3, beta=0.9),
        ONCE,
        noloco(0.3, 0.9, 0.9, PAIRINGS),
    ),
    "gossip": (derive("gossip"), TWICE, gossip(0.8, 0.7, TWICE, 4)),
    "gossip mixing once": (derive("gossip", mixes=1, warming=0), ONCE, gossip(0.8, 0.7, ONCE)),
    "two tensors": (TWO_TENSORS, TWICE, mixing_phi_and_momentum(0.9, 0.7, TWICE)),
    "two tensors mixing once": (TWO_TENSORS, ONCE, mixing_phi_and_momentum(0.9, 0.7, ONCE)),
}


NESTEROV = [derive("gossip", warming=0), TWO_TENSORS]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-14), (torch.float32, 5e-7)])
def test_every_value_is_the_papers(case: str, dtype: torch.dtype, tolerance: float) -> None:
    rule, mixings, expected = CASES[case]
    replicas = swarm(START, dtype)
    for number, (pairings, golden) in enumerate(zip(mixings, expected, strict=True)):
        boundaries = full_round(rule.after(number), replicas, pairings)
        for i, replica in enumerate(replicas):
            where = f"outer step {number}, peer {i}"
            close(boundaries[i], golden.boundary[i], tolerance, f"boundary, {where}")
            close(replica.state.phi, golden.phi[i], tolerance, f"phi, {where}")
            close(replica.state.momentum, golden.momentum[i], tolerance, f"momentum, {where}")
            close(replica.theta, golden.phi[i], tolerance, f"theta, {where}")


@pytest.mark.parametrize(("delay", "keep"), [(0.0, 0.0), (0.1, 0.1), (0.5, 0.5), (1.0, 0.5)])
def test_what_stays_of_the_fast_weights_follows_the_delay(delay: float, keep: float) -> None:
    assert derive("gossip").landing_after(delay).keep == keep
    for rule in (derive("noloco"), derive("gossip", by_delay=False)):
        assert rule.landing_after(delay) is rule


@pytest.mark.parametrize(("outer_steps", "alpha"), [(0, 0.2), (1, 1 / 3), (3, 0.5), (15, 0.8), (10**6, 0.8)])
def test_momentum_grows_to_alpha(outer_steps: int, alpha: float) -> None:
    assert derive("gossip").after(outer_steps).alpha == pytest.approx(alpha)
    assert derive("noloco").after(outer_steps).alpha == 0.5


def test_the_printed_sign_of_equation_2_would_walk_uphill() -> None:
    """Guards the reference itself: on one peer, NoLoCo must approach the peer's own minimum."""
    rounds = noloco(0.5, 0.7, 0.7, [[]] * 60)
    assert np.allclose(rounds[-1].phi[0], inner_steps(0, rounds[-1].phi[0]), atol=1e-6)


@pytest.mark.parametrize("rule", NESTEROV, ids=lambda rule: rule.name)
def test_a_gossip_of_two_is_diloco(rule: Rule) -> None:
    replicas = swarm([START[0], START[0]], torch.float64)
    for golden in diloco(START[0], rule.alpha, rule.beta, [0, 1], steps=6):
        full_round(rule, replicas, [[(0, 1)]])
        agree_on(replicas, golden)


@pytest.mark.parametrize("rule", NESTEROV, ids=lambda rule: rule.name)
def test_a_gossip_that_reaches_everybody_is_diloco(rule: Rule) -> None:
    """Whatever is shared: how a difference lands follows from the optimiser."""
    replicas = swarm([START[0]] * 4, torch.float64)
    for golden in diloco(START[0], rule.alpha, rule.beta, [0, 1, 2, 3], steps=6):
        full_round(rule, replicas, FOUR_BY_PAIRS)
        agree_on(replicas, golden)


def test_two_noloco_mixes_are_the_papers_group_of_four() -> None:
    """Equation 2 with n = 4: a refreshed share carries the mean of the pair that it was in."""
    alpha, beta = 0.5, 0.7
    phi, delta = START.copy(), np.zeros_like(START)
    replicas = swarm(START, torch.float64)
    for _ in range(6):
        theta = np.stack([inner_steps(i, phi[i]) for i in range(4)])
        delta = alpha * delta + beta * (theta - phi).mean(axis=0) - beta * (phi - phi.mean(axis=0))
        phi = phi + delta
        full_round(derive("noloco", mixes=2), replicas, FOUR_BY_PAIRS)
        for i, replica in enumerate(replicas):
            close(replica.state.phi, phi[i], 1e-12, "phi")
            close(replica.state.momentum, delta[i], 1e-12, "momentum")


FOUR_BY_PAIRS: list[Pairs] = [[(0, 1), (2, 3)], [(0, 2), (1, 3)]]
"""Two pairings after which each of 4 peers holds the mean of all."""


def agree_on(replicas: list[Replica], golden: Round) -> None:
    for replica in replicas:
        close(replica.state.phi, golden.phi, 1e-12, "phi")
        close(replica.state.momentum, golden.momentum, 1e-12, "momentum")
        close(replica.theta, golden.phi, 1e-12, "theta")


def close(ours: torch.Tensor, golden: np.ndarray, tolerance: float, what: str) -> None:
    np.testing.assert_allclose(ours.double().numpy(), golden, rtol=tolerance, atol=tolerance, err_msg=what)
