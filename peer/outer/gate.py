"""What is known of a partner's share before it may touch the weights: its distance, and its fitness.

This bounds what one bad share can do; it cannot tell a patient liar from a replica.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from peer.outer.rule import Rule
from peer.outer.step import Shared

MOST_GROWTH = 2.8
"""How many times the norm of one replica's weights may be the other's. Early in a run weights grow quickly: a
peer that was slow, or away, meets partners of 2.5 times its norm, and must not be shut out."""

LEAST_COSINE = 0.3
"""The least cosine of the angle between both weights. Pairs of a small run, on different data and unmixed,
were measured within `MOST_GROWTH`: 0.72 after equal times, 0.36 to 0.5 after 0 or 4 inner steps against 32 to
40. Our weights with noise of 1.9 norms have 0.47: no such figure tells them from an honest fast peer's."""

MOST_MOMENTUM_GROWTH = 10.0
NEWCOMERS_MOMENTUM = 0.5
"""A partner's momentum may differ from ours by so many norms of ours or our weights, whichever is more, and
never by more than weights may: who has just joined has none, and measured ones reach 0.3 of the weights."""

_PART = 262_144
"""Norms are taken in parts: one float32 sum over 10^8 squares is 5% off, and a part needs no memory."""


@dataclass(frozen=True, slots=True)
class Distance:
    """How far two replicas are apart: the consensus distance.

    Attributes:
        rms: root mean square of the difference, in the units of the weights.
        relative: `rms` over the root mean square of one's own; infinite where that is 0.
    """

    rms: float
    relative: float


@torch.no_grad()
def distance(mine: Tensor, theirs: Tensor) -> Distance:
    """Measure how far two flat tensors of one length above 0 are apart."""
    apart, own = _norm_apart(mine, theirs), norm(mine)
    return Distance(
        rms=apart / math.sqrt(mine.numel()),
        relative=apart / own if own else (math.inf if apart else 0.0),
    )


@torch.no_grad()
def check(rule: Rule, mine: Shared, theirs: Shared) -> str | None:
    """Return why a partner's share must not be mixed, or None if it may.

    Args:
        rule: names the shares.
        mine: one's own share; its first tensor holds the weights, θ or φ.
        theirs: the partner's decoded share, of any content.
    """
    if len(theirs) != len(mine):
        return f"it has {len(theirs)} tensors, ours {len(mine)}"
    for share, own, other in zip(rule.shares, mine, theirs, strict=True):
        if other.shape != own.shape:
            return f"its {share} has shape {tuple(other.shape)}, ours {tuple(own.shape)}"
        if not _finite(other):
            return f"its {share} holds a value that is not finite"
    weights, their_weights = norm(mine[0]), norm(theirs[0])
    reason = _why_no_replica(rule.shares[0], weights, their_weights, _norm_apart(mine[0], theirs[0]))
    if reason is not None or len(mine) == 1:
        return reason
    return _why_no_momentum(rule.shares[1], mine[1], theirs[1], weights, max(weights, their_weights))


def _why_no_replica(share: str, own: float, other: float, apart: float) -> str | None:
    differs = f"its {share} differs from ours by {apart:.3g} in norm"
    if not (own <= MOST_GROWTH * other and other <= MOST_GROWTH * own):  # also where a norm is NaN
        return f"{differs}, which is {other:.3g} against {own:.3g}: over {MOST_GROWTH:g} times apart"
    if not apart <= max(own, other):  # as at a right angle or beyond
        return f"{differs}, over the larger of both, {max(own, other):.3g}"
    if not own:
        return None
    cosine = (own * own + other * other - apart * apart) / (2 * own * other)  # the law of cosines
    if cosine < LEAST_COSINE:
        return f"{differs} and points elsewhere: the cosine is {cosine:.3g}, below {LEAST_COSINE:g}"
    return None


def _why_no_momentum(share: str, own: Tensor, other: Tensor, weights: float, larger: float) -> str | None:
    apart, ours = _norm_apart(own, other), norm(own)
    limit = min(larger, max(MOST_MOMENTUM_GROWTH * ours, NEWCOMERS_MOMENTUM * weights))
    if apart <= limit:
        return None
    return (
        f"its {share} differs from ours by {apart:.3g} in norm, "
        f"over {limit:.3g} (our norms: {ours:.3g}, of the weights {weights:.3g})"
    )


def _finite(values: Tensor) -> bool:
    low, high = values.aminmax()  # one pass, no temporary, and a NaN anywhere makes both NaN
    return bool(torch.stack([low, high]).isfinite().all())


def norm(values: Tensor) -> float:
    """Return the Euclidean norm of a flat tensor."""
    return _total([torch.linalg.vector_norm(part) for part in torch.split(values, _PART)])


def _norm_apart(mine: Tensor, theirs: Tensor) -> float:
    parts = zip(torch.split(mine, _PART), torch.split(theirs, _PART), strict=True)
    return _total([torch.linalg.vector_norm(other - own) for own, other in parts])


def _total(norms: list[Tensor]) -> float:
    return float(torch.linalg.vector_norm(torch.stack(norms)))
