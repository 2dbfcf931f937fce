"""The outer step: what a peer does alone at its boundary, without waiting for anybody."""

from dataclasses import dataclass
from typing import Self, TypeAlias

import torch
from torch import Tensor

from peer.outer.rule import Rule

Shared: TypeAlias = tuple[Tensor, ...]
"""Flat snapshots of what a rule shares, in the order of `Rule.shares`."""


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
def take_outer_step(rule: Rule, state: OuterState, theta: Tensor) -> Shared:
    """Apply the outer optimiser to Δ = θ - φ, then restart θ from φ.

    Args:
        rule: a rule without an optimiser changes nothing, bit for bit.
        state: φ and m, changed in place.
        theta: the fast weights, flat, changed in place.

    Returns:
        Snapshots of what the rule shares, which later steps do not change.
    """
    if rule.optimiser == "none":
        return ()
    snapshots = {"theta": theta.clone()} if "theta" in rule.shares else {}
    decay, take, direct, carry = rule.coefficients
    pseudo_gradient = theta.sub_(state.phi)  # θ is about to be replaced, so its memory serves for Δ
    state.momentum.mul_(decay).add_(pseudo_gradient, alpha=take)
    if direct:
        state.phi.add_(pseudo_gradient, alpha=direct)
    state.phi.add_(state.momentum, alpha=carry)
    theta.copy_(state.phi)
    if "phi" in rule.shares:
        snapshots["phi"] = state.phi.clone()
    if "momentum" in rule.shares:
        snapshots["momentum"] = state.momentum.clone()
    return tuple(snapshots[share] for share in rule.shares)
