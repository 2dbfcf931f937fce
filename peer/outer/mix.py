"""The mix: what an exchange with a partner adds to a peer's weights, whenever it lands.

Corrections are opposite on the two sides, so a mix keeps the swarm's mean, and additive, so inner
steps that were made while the bytes were in flight are kept and counted once.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from peer.outer.rule import Rule
from peer.outer.step import OuterState, Shared


@dataclass(frozen=True, slots=True)
class Correction:
    """What one mix asks for.

    Attributes:
        differences: weight·(theirs - mine) of each share, in the order of `Rule.shares`.
    """

    differences: Shared


@torch.no_grad()
def correction(mine: Shared, theirs: Shared, weight: float = 0.5) -> Correction:
    """Compute what brings one's own share to the average (1 - weight)·mine + weight·theirs.

    Args:
        mine: one's own share. Under a lossy codec, its decoded form keeps the swarm's mean exactly,
            its exact form has less noise.
        theirs: the partner's share, as `check` passed it.
        weight: the partner's weight; both sides must use the same, or the mean moves.
    """
    pairs = zip(mine, theirs, strict=True)
    return Correction(tuple(torch.sub(other, own).mul_(weight) for own, other in pairs))


@torch.no_grad()
def apply(rule: Rule, state: OuterState, theta: Tensor, landed: Correction) -> None:
    """Add a correction to m, φ and θ in place.

    Landing before the first inner step, it turns the peer's own outer step into the group's: with a
    shared θ, the step on the group's mean pseudo-gradient and mean φ (NoLoCo's equations 1 to 3 with
    gamma = β, and with β's sign as in its equation 32).
    """
    for share, difference in zip(rule.shares, landed.differences, strict=True):
        onto = rule.landing(share)
        if onto.momentum:
            state.momentum.add_(difference, alpha=onto.momentum)
        if onto.weights:
            state.phi.add_(difference, alpha=onto.weights)
            theta.add_(difference, alpha=onto.weights)


@torch.no_grad()
def refresh(mine: Shared, landed: Correction) -> None:
    """Move a share to the average that a mix made of it, in place, for the next partner.

    The share moves by the whole difference, also where only β of it lands on the weights: k mixes
    with disjoint partners then give exactly the step on the mean of 2^k peers.
    """
    for own, difference in zip(mine, landed.differences, strict=True):
        own.add_(difference)
