"""The mean that a group of any size agrees on: who fails drops out, and the weights are renormalised."""

from collections.abc import Sequence

import torch
from torch import Tensor

from peer.outer.step import Shared


@torch.no_grad()
def weighted_mean(parts: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """Return the mean of flat tensors of one length, accumulated in FP32 at least, in the order given.

    One member computes each part of a vector and all take its bytes, so all end with the same.

    Args:
        parts: of those who sent one in time; who failed is left out.
        weights: of the same members, finite, none below 0; only their ratios count.

    Raises:
        ValueError: no member has a weight above 0, or there are not as many weights as parts.
    """
    total = sum(weights)
    if not total > 0 or min(weights) < 0:
        raise ValueError(f"the weights are {list(weights)}; none may be below 0, one must be above")
    wide = torch.promote_types(parts[0].dtype, torch.float32)
    mean = torch.zeros_like(parts[0], dtype=wide)
    for part, weight in zip(parts, weights, strict=True):
        mean.add_(part, alpha=weight / total)
    return mean


@torch.no_grad()
def mean_share(shares: Sequence[Shared], weights: Sequence[float]) -> Shared:
    """Return the weighted mean of whole shares, tensor by tensor, as `weighted_mean`."""
    return tuple(weighted_mean(parts, weights) for parts in zip(*shares, strict=True))
