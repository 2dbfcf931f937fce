"""An outer step taken anew on a group's mean: for peers that began it alike, to end it alike to the bit."""

import torch
from torch import Tensor

from peer.outer.ranges import Ranges, split, views
from peer.outer.rule import Rule
from peer.outer.step import OuterState


@torch.no_grad()
def redo(rule: Rule, before: OuterState, pseudo_gradient: Tensor) -> OuterState:
    """Return φ and m after the rule's outer step from `before`, which stays as it is.

    Each product is rounded before it is added: devices that fuse both get other bits than those that do
    not, and members of a group must get the same.

    Args:
        rule: names the outer optimiser.
        before: φ and m as they were before the step, of a fragment or of the whole.
        pseudo_gradient: Δ = θ - φ of one peer or the mean of several, flat, as long.
    """
    decay, take, direct, carry = rule.coefficients
    momentum = (before.momentum * decay).add_(pseudo_gradient * take)
    phi = before.phi + pseudo_gradient * direct if direct else before.phi.clone()
    phi.add_(momentum * carry)
    return OuterState(phi=phi, momentum=momentum)


@torch.no_grad()
def replace(
    rule: Rule,
    state: OuterState,
    theta: Tensor,
    mine: OuterState,
    agreed: OuterState,
    where: Ranges | None = None,
) -> None:
    """Put what a group agreed on in the place of one's own outer step; what was learned since stays.

    φ <- (φ - mine) + agreed, m and θ likewise: what has not moved since the step is then exactly `agreed`.
    Where the rule keeps some of θ, θ moves as with `mix.apply`, and `mix.settle` must have come before.

    Args:
        rule: how a mix lands.
        state: φ and m, changed in place.
        theta: the fast weights, flat, changed in place.
        mine: φ and m as one's own step made them, of the fragment.
        agreed: φ and m of everybody in the group, likewise.
        where: the fragment; None for the whole vector.
    """
    for slow, fast, before, after in _runs(where, (state.phi, theta), (mine.phi, agreed.phi)):
        if rule.keep is None:
            fast.sub_(before).add_(after)
        else:
            fast.add_(after - before, alpha=1 - rule.keep)
        slow.sub_(before).add_(after)
    for momentum, before, after in _runs(where, (state.momentum,), (mine.momentum, agreed.momentum)):
        momentum.sub_(before).add_(after)


def _runs(
    where: Ranges | None, whole: tuple[Tensor, ...], compact: tuple[Tensor, ...]
) -> list[tuple[Tensor, ...]]:
    """Return the runs of a fragment: of each whole vector, then of each compact one."""
    parts = [views(tensor, where) for tensor in whole] + [split(tensor, where) for tensor in compact]
    return list(zip(*parts, strict=True))
