"""Muon: orthogonal updates for hidden matrices (K. Jordan et al. 2024), as large as AdamW's.

torch.optim.Muon computes in bfloat16 everywhere, which a CPU without it does fifty times slower than this.
"""

import math
from collections.abc import Iterable
from typing import cast

import torch
from torch import Tensor, nn

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the quintic iteration: steepest at zero, which does not bring singular values to 1 but near it."""

ITERATIONS = 5
EPSILON = 1e-7

SIZE = 0.2
"""Root mean square of an update at rate 1: what AdamW's usually is (arXiv 2502.16982, section 2.2)."""


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, made orthogonal, with decoupled weight decay, over matrices.

    State: `momentum_buffer`, a running mean of the gradients, in the shape of each parameter.
    """

    def __init__(
        self, parameters: Iterable[nn.Parameter], lr: float, momentum: float, weight_decay: float
    ) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Take a step with the gradients that are there."""
        del closure
        for group in self.param_groups:
            for parameter in cast("list[nn.Parameter]", group["params"]):
                if parameter.grad is not None:
                    update = self._direct(parameter, parameter.grad, group["momentum"])
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    parameter.add_(update, alpha=-group["lr"] * SIZE * math.sqrt(max(parameter.shape)))

    def _direct(self, parameter: nn.Parameter, gradient: Tensor, momentum: float) -> Tensor:
        state = self.state[parameter]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(parameter)
        mean = state["momentum_buffer"].lerp_(gradient, 1 - momentum)
        return orthogonalise(gradient.lerp(mean, momentum))


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
