"""What is known of a partner's share before it may touch the weights: its distance, and its fitness."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from peer.outer.rule import Rule
from peer.outer.step import Shared

FARTHEST = 1.0
"""The default limit of `check`. Weights at a right angle to ours are farther away than the larger of both
norms, and negated ones farther still; a replica is nearer, even one that is much further trained."""

MOST_GROWTH = 3.0
"""How far a partner's norm may raise the limit, in norms of ours. Early in a run weights grow quickly: a peer
that was slow, or away, meets partners of twice its norm; a limit of its own norm alone would shut it out."""

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
    apart, own = _norm_apart(mine, theirs), _norm(mine)
    return Distance(
        rms=apart / math.sqrt(mine.numel()),
        relative=apart / own if own else (math.inf if apart else 0.0),
    )


@torch.no_grad()
def check(rule: Rule, mine: Shared, theirs: Shared, farthest: float = FARTHEST) -> str | None:
    """Return why a partner's share must not be mixed, or None if it may.

    A momentum is measured against the weights, not against one's own momentum: that may be 0 in a
    peer that has just joined.

    Args:
        rule: names the shares.
        mine: one's own share; its first tensor holds the weights, θ or φ.
        theirs: the partner's decoded share, of any content.
        farthest: the largest difference of a share, as a multiple of the larger of both weights' norms.
    """
    if len(theirs) != len(mine):
        return f"it has {len(theirs)} tensors, ours {len(mine)}"
    limit = 0.0
    for share, own, other in zip(rule.shares, mine, theirs, strict=True):
        if other.shape != own.shape:
            return f"its {share} has shape {tuple(other.shape)}, ours {tuple(own.shape)}"
        if not _finite(other):
            return f"its {share} holds a value that is not finite"
        limit = limit or farthest * _scale(own, other)  # the first tensor holds the weights
        apart = _norm_apart(own, other)
        if not apart <= limit:  # also where our own weights are NaN
            return (
                f"its {share} differs from ours by {apart:.3g} in norm, "
                f"over {limit:.3g} (our weights' norm is {_norm(mine[0]):.3g})"
            )
    return None


def _scale(own: Tensor, other: Tensor) -> float:
    """Return the larger norm, of which a stranger's counts for so much only."""
    norm = _norm(own)
    return max(norm, min(_norm(other), MOST_GROWTH * norm))


def _finite(values: Tensor) -> bool:
    low, high = values.aminmax()  # one pass, no temporary, and a NaN anywhere makes both NaN
    return bool(torch.stack([low, high]).isfinite().all())


def _norm(values: Tensor) -> float:
    return _total([torch.linalg.vector_norm(part) for part in torch.split(values, _PART)])


def _norm_apart(mine: Tensor, theirs: Tensor) -> float:
    parts = zip(torch.split(mine, _PART), torch.split(theirs, _PART), strict=True)
    return _total([torch.linalg.vector_norm(other - own) for own, other in parts])


def _total(norms: list[Tensor]) -> float:
    return float(torch.linalg.vector_norm(torch.stack(norms)))
