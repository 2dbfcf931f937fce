"""The papers' outer rules in NumPy float64, written from their formulas and from no code of ours.

The problem: 4 peers, 6 outer steps of 5 inner steps each. A peer descends its own quadratic
½·(θ - target)ᵀ·diag(curvature)·(θ - target) by gradient steps.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Pairs = list[tuple[int, int]]

PEERS, VALUES, INNER_STEPS = 4, 7, 5
INNER_RATE = 0.1
CURVATURE: Array = np.array([0.2, 0.5, 1.0, 1.5, 2.0, 3.0, 0.0])
TARGETS: Array = np.array(
    [
        [1.0, -2.0, 0.5, 3.0, -1.0, 0.25, 7.0],
        [0.0, 1.0, -0.5, 2.0, 4.0, -3.0, -5.0],
        [-1.5, 0.75, 2.0, -2.0, 0.5, 1.0, 0.0],
        [2.0, 2.5, -3.0, 0.0, 1.25, -0.75, 1.0],
    ]
)
START: Array = np.array(
    [
        [0.1, -0.3, 0.7, 1.1, -0.9, 0.2, 0.4],
        [0.2, -0.1, 0.5, 1.3, -1.1, 0.0, 0.3],
        [0.0, -0.4, 0.9, 0.8, -0.7, 0.6, 0.5],
        [0.3, -0.2, 0.6, 1.0, -1.0, 0.1, 0.2],
    ]
)

PAIRINGS: list[Pairs] = [
    [(0, 1), (2, 3)],
    [(0, 2), (1, 3)],
    [(0, 1)],  # 2 and 3 find no partner and skip
    [(0, 3), (1, 2)],
    [(1, 3)],  # 0 has left, which makes an odd number: 2 finds no partner
    [(0, 2), (3, 1)],
]
"""Who mixes in each outer step."""

SECOND_PAIRINGS: list[Pairs] = [
    [(0, 2), (1, 3)],
    [(0, 1), (2, 3)],
    [(2, 3)],
    [],
    [(2, 1)],
    [(0, 3), (1, 2)],
]
"""Who mixes again in the same outer step, where a rule mixes twice."""


@dataclass
class Round:
    """Every value at the end of one outer step, each of shape (peers, values)."""

    boundary: Array
    """θ after the inner steps, before the outer step."""
    phi: Array
    momentum: Array


def inner_steps(peer: int, theta: Array) -> Array:
    for _ in range(INNER_STEPS):
        theta = theta - INNER_RATE * CURVATURE * (theta - TARGETS[peer])
    return theta


def group_of(peer: int, pairs: Pairs) -> list[int]:
    """The peer's group, itself included; a peer without partner is alone in its own."""
    return next((list(pair) for pair in pairs if peer in pair), [peer])


def noloco(alpha: float, beta: float, gamma: float, pairings: list[Pairs]) -> list[Round]:
    """NoLoCo, arXiv 2506.10911: equations 1, 2 (with β's sign from equation 32) and 3."""
    phi, delta = START.copy(), np.zeros_like(START)
    rounds = []
    for pairs in pairings:
        theta = np.stack([inner_steps(i, phi[i]) for i in range(PEERS)])
        pseudo = theta - phi  # equation 1
        next_delta = np.empty_like(delta)
        for i in range(PEERS):
            group = group_of(i, pairs)
            n = len(group)
            pull = phi[i] - sum(phi[j] for j in group) / n
            push = (beta / n) * sum(pseudo[j] for j in group)
            next_delta[i] = alpha * delta[i] + push - gamma * pull  # equation 2
        delta = next_delta
        phi = phi + delta  # equation 3
        rounds.append(Round(theta, phi.copy(), delta.copy()))
    return rounds


def nesterov(phi: Array, velocity: Array, gradient: Array, alpha: float, beta: float) -> list[Array]:
    """Nesterov's momentum as DiLoCo (arXiv 2311.08105) takes it, on the outer gradient φ - θ.

    Velocity v <- alpha·v + g; the weights move by -β·(g + alpha·v).
    """
    velocity = alpha * velocity + gradient
    return [phi - beta * (gradient + alpha * velocity), velocity]


def gossip(alpha: float, beta: float, mixings: list[list[Pairs]]) -> list[Round]:
    """Each peer's own Nesterov step, then averages of φ and velocity over pairs, one after another.

    Args:
        mixings: for each outer step, the pairings that follow each other.
    """
    phi, velocity = START.copy(), np.zeros_like(START)
    rounds = []
    for pairings in mixings:
        theta = np.stack([inner_steps(i, phi[i]) for i in range(PEERS)])
        for i in range(PEERS):
            phi[i], velocity[i] = nesterov(phi[i], velocity[i], phi[i] - theta[i], alpha, beta)
        for pairs in pairings:
            for i, j in pairs:
                phi[i] = phi[j] = (phi[i] + phi[j]) / 2
                velocity[i] = velocity[j] = (velocity[i] + velocity[j]) / 2
        # velocity has the sign of a gradient, our momentum that of a movement
        rounds.append(Round(theta, phi.copy(), -velocity))
    return rounds


def diloco(start: Array, alpha: float, beta: float, members: list[int], steps: int) -> list[Round]:
    """DiLoCo, arXiv 2311.08105: one φ for all, Nesterov on the mean outer gradient."""
    phi, velocity = start.copy(), np.zeros_like(start)
    rounds = []
    for _ in range(steps):
        theta = np.stack([inner_steps(i, phi) for i in members])
        phi, velocity = nesterov(phi, velocity, (phi - theta).mean(axis=0), alpha, beta)
        rounds.append(Round(theta, phi.copy(), -velocity))
    return rounds
