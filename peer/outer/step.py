"""The outer step: what a peer does alone at its boundary, without waiting for anybody."""

from dataclasses import dataclass
from typing import Self, TypeAlias

import torch
from torch import Tensor

from peer.outer.ranges import Ranges, gather, views
from peer.outer.rule import Rule

Shared: TypeAlias = tuple[Tensor, ...]
"""Flat snapshots of what a rule shares, in the order of `Rule.shares`; of one fragment, compact."""


@dataclass(frozen=True, slots=True)
class OuterState:
    """What outlives an outer step; both tensors are flat, as long as θ, and changed in place.

    Attributes:
        phi: slow weights, the weights at the last outer step with what was mixed into them since.
        momentum: outer momentum.
    """

    phi: Tensor
    momentum: Tensor

    @classmethod
    def create(cls, theta: Tensor) -> Self:
        """Make the state before the first inner step: φ a copy of `theta`, the momentum 0."""
        phi = theta.detach().clone()
        return cls(phi=phi, momentum=torch.zeros_like(phi))


@torch.no_grad()
def take_outer_step(rule: Rule, state: OuterState, theta: Tensor, where: Ranges | None = None) -> Shared:
    """Apply the outer optimiser to Δ = θ - φ, then restart θ from φ, unless the rule keeps some of θ.

    Args:
        rule: a rule without an optimiser changes nothing, bit for bit.
        state: φ and m, changed in place.
        theta: the fast weights, flat, changed in place.
        where: the fragment whose boundary it is; None for the whole vector.

    Returns:
        Snapshots of what the rule shares, which later steps do not change.
    """
    if rule.optimiser == "none":
        return ()
    snapshots = {"theta": gather(theta, where)} if "theta" in rule.shares else {}
    runs = (views(tensor, where) for tensor in (state.phi, state.momentum, theta))
    for phi, momentum, fast in zip(*runs, strict=True):
        _step(rule, phi, momentum, fast)
    if "phi" in rule.shares:
        snapshots["phi"] = gather(state.phi, where)
    if "momentum" in rule.shares:
        snapshots["momentum"] = gather(state.momentum, where)
    return tuple(snapshots[share] for share in rule.shares)


def _step(rule: Rule, phi: Tensor, momentum: Tensor, theta: Tensor) -> None:
    decay, take, direct, carry = rule.coefficients
    # Where θ is about to be replaced, its memory serves for Δ.
    pseudo_gradient = theta.sub_(phi) if rule.keep is None else theta - phi
    momentum.mul_(decay).add_(pseudo_gradient, alpha=take)
    if direct:
        phi.add_(pseudo_gradient, alpha=direct)
    phi.add_(momentum, alpha=carry)
    if rule.keep is None:
        theta.copy_(phi)
