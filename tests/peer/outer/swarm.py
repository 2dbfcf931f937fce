"""A few peers in one process that run our code on the reference's problem."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from peer.outer.mix import apply, correction, refresh, settle
from peer.outer.rule import Rule
from peer.outer.step import OuterState, Shared, take_outer_step
from tests.peer.outer.reference import CURVATURE, INNER_RATE, INNER_STEPS, TARGETS, Pairs


@dataclass
class Replica:
    """One peer's tensors."""

    target: Tensor
    curvature: Tensor
    theta: Tensor
    state: OuterState
    shared: Shared = ()

    def inner(self, steps: int) -> None:
        for _ in range(steps):
            self.theta -= INNER_RATE * self.curvature * (self.theta - self.target)


def swarm(start: Iterable[Iterable[float]], dtype: torch.dtype) -> list[Replica]:
    replicas = []
    for target, first in zip(torch.tensor(TARGETS), start, strict=False):
        theta = torch.tensor(first, dtype=dtype)
        curvature = torch.tensor(CURVATURE, dtype=dtype)
        replicas.append(Replica(target.to(dtype), curvature, theta, OuterState.create(theta)))
    return replicas


def outer_step(
    rule: Rule,
    replicas: list[Replica],
    mixings: list[Pairs],
    *,
    late: int = 0,
) -> list[Tensor]:
    """Take every peer's outer step, then mix; return θ at each boundary.

    Args:
        mixings: pairings that follow each other.
        late: inner steps that go by before each mix lands.
    """
    boundaries = [replica.theta.clone() for replica in replicas]
    for replica in replicas:
        replica.shared = take_outer_step(rule, replica.state, replica.theta)
    rule = rule.landing_after(late / INNER_STEPS)
    for pairs in mixings:
        for replica in replicas:
            replica.inner(late)
            settle(rule, replica.state, replica.theta)
        for i, j in pairs:
            ours = correction(replicas[i].shared, replicas[j].shared)
            theirs = correction(replicas[j].shared, replicas[i].shared)
            for replica, landed in ((replicas[i], ours), (replicas[j], theirs)):
                apply(rule, replica.state, replica.theta, landed)
                refresh(replica.shared, landed)
    return boundaries


def full_round(rule: Rule, replicas: list[Replica], mixings: list[Pairs]) -> list[Tensor]:
    for replica in replicas:
        replica.inner(INNER_STEPS)
    return outer_step(rule, replicas, mixings)
