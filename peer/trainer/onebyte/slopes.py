"""SPSA: how steeply the loss rises along a direction, from two forward passes (MeZO, arXiv 2305.17333)."""

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor

from peer.trainer.feed import Batch
from peer.trainer.onebyte.directions import perturb


@dataclass(frozen=True, slots=True)
class Slopes:
    """What one step found.

    Attributes:
        slopes: (L(theta + epsilon z) - L(theta - epsilon z)) / (2 epsilon) for each direction z; 0 where a
            loss is not finite.
        loss: mean of all losses, nats a token, an fp32 scalar on the device.
    """

    slopes: list[float]
    loss: Tensor


@torch.no_grad()
def measure(
    net: Callable[[Batch], Tensor],
    flat: Tensor,
    batch: Batch,
    keys: Sequence[int],
    epsilon: float,
    precision: AbstractContextManager[object],
) -> Slopes:
    """Measure the slopes along the directions with these keys.

    Args:
        net: returns the loss of the model whose parameters are views of `flat`.
        flat: the weights, flat fp32. They come back within a rounding error: write them anew.
        batch: the examples, the same for all directions.
        keys: of the directions.
        epsilon: size of a perturbation.
        precision: context in which to compute losses.
    """
    pairs: list[Tensor] = []
    for key in keys:
        perturb(flat, key, epsilon)
        with precision:
            above = net(batch)
        perturb(flat, key, -2 * epsilon)
        with precision:
            below = net(batch)
        perturb(flat, key, epsilon)
        pairs.append(torch.stack((above, below)))
    losses = torch.stack(pairs)
    slopes = ((losses[:, 0] - losses[:, 1]) / (2 * epsilon)).tolist()
    return Slopes([slope if math.isfinite(slope) else 0.0 for slope in slopes], losses.mean())
