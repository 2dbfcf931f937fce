"""The mix: what an exchange with a partner adds to a peer's weights, whenever it lands.

Corrections are opposite on the two sides, so a mix keeps the swarm's mean, and additive, so inner
steps that were made while the bytes were in flight are kept and counted once.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from peer.outer.ranges import Ranges, split, views
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
def apply(
    rule: Rule, state: OuterState, theta: Tensor, landed: Correction, where: Ranges | None = None
) -> None:
    """Add a correction to m, φ and θ in place.

    Landing before the first inner step, it turns the peer's own outer step into the group's: with a
    shared θ, the step on the group's mean pseudo-gradient and mean φ (NoLoCo's equations 1 to 3 with
    gamma = β, and with β's sign as in its equation 32).

    Args:
        rule: says where each share's difference lands.
        state: φ and m.
        theta: the fast weights.
        landed: as `correction` returned it.
        where: the fragment that the shares are of; None for the whole vector.
    """
    moved = 1.0 if rule.keep is None else 1 - rule.keep
    for share, difference in zip(rule.shares, landed.differences, strict=True):
        onto = rule.landing(share)
        if onto.momentum:
            _add(state.momentum, difference, onto.momentum, where)
        if onto.weights:
            _add(state.phi, difference, onto.weights, where)
            _add(theta, difference, moved * onto.weights, where)


@torch.no_grad()
def settle(rule: Rule, state: OuterState, theta: Tensor, where: Ranges | None = None) -> None:
    """Bring θ to keep·θ + (1 - keep)·φ in place, where the rule keeps some of θ; else do nothing.

    Due once an outer step, when its exchange has ended, also when that brought no mix. Must come before
    `apply` or `redo.replace` of the same landing: these move θ by (1 - keep) of what they add to φ, and
    a blend that came after them would count that twice.
    """
    if rule.keep is None:
        return
    for fast, slow in zip(views(theta, where), views(state.phi, where), strict=True):
        fast.lerp_(slow, 1 - rule.keep)


def _add(tensor: Tensor, difference: Tensor, scale: float, where: Ranges | None) -> None:
    for run, part in zip(views(tensor, where), split(difference, where), strict=True):
        run.add_(part, alpha=scale)


@torch.no_grad()
def refresh(mine: Shared, landed: Correction) -> None:
    """Move a share to the average that a mix made of it, in place, for the next partner.

    The share moves by the whole difference, also where only β of it lands on the weights: k mixes
    with disjoint partners then give exactly the step on the mean of 2^k peers.
    """
    for own, difference in zip(mine, landed.differences, strict=True):
        own.add_(difference)
