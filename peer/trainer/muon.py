"""Muon: orthogonal updates for hidden matrices (K. Jordan et al. 2024), as large as AdamW's.

torch.optim.Muon computes in bfloat16 everywhere, which a CPU without it does fifty times slower than this.
"""

import math

import torch
from torch import Tensor

from peer.trainer.optimisers import Moments, Parameters

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the quintic iteration: steepest at zero, which does not bring singular values to 1 but near it."""

ITERATIONS = 5
EPSILON = 1e-7

SIZE = 0.2
"""Root mean square of an update at rate 1: what AdamW's usually is (arXiv 2502.16982, section 2.2)."""


class Muon:
    """Nesterov momentum, made orthogonal, with decoupled weight decay, over matrices."""

    def __init__(self, matrices: Parameters, means: Moments, momentum: float, weight_decay: float) -> None:
        """`means` are running means of the gradients, in the shape of each matrix; they are kept up here."""
        self._matrices, self._means = matrices, means
        self._momentum, self._weight_decay = momentum, weight_decay

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Take a step with the gradients that are there."""
        for matrix in self._matrices:
            if matrix.grad is not None:
                mean = self._means[matrix].lerp_(matrix.grad, 1 - self._momentum)
                update = orthogonalise(matrix.grad.lerp(mean, self._momentum))
                matrix.mul_(1 - rate * self._weight_decay)
                matrix.add_(update, alpha=-rate * SIZE * math.sqrt(max(matrix.shape)))


def orthogonalise(matrix: Tensor) -> Tensor:
    """Return the matrix with singular values near 1 in place of its own, by Newton and Schulz's iteration.

    In bfloat16 where the device's arithmetic units know it, which is exact enough, and in fp32 elsewhere.
    """
    native = matrix.is_cuda and torch.cuda.is_bf16_supported(including_emulation=False)
    x = matrix.to(torch.bfloat16) if native else matrix.clone()
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    x = x / x.norm().clamp(min=EPSILON)
    a, b, c = COEFFICIENTS
    for _ in range(ITERATIONS):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.T if tall else x).to(matrix.dtype)
