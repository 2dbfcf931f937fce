"""AdamW and SGD as torch.optim has them, over moments that lie elsewhere.

torch.optim's classes load torch's compiler when the first of them is made: a second of every trainer's start,
and 75 MB for as long as it lives. The functions behind them do not.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw

from protocol.manifest import Inner

EPSILON = 1e-8

Parameters = Sequence[nn.Parameter]
Moments = Mapping[nn.Parameter, Tensor]


class Optimiser(Protocol):
    """What trains some of a module's parameters."""

    def step(self, rate: float) -> None:
        """Take a step with the gradients that are there."""


class AdamW:
    """Adam with decoupled weight decay (arXiv 1711.05101); only matrices decay.

    Attributes:
        steps: how many steps the moments of each parameter have seen, fp32, of no dimensions.
    """

    def __init__(self, parameters: Parameters, first: Moments, second: Moments, inner: Inner) -> None:
        self._groups = by_decay(parameters, inner.weight_decay)
        self._first, self._second, self._inner = first, second, inner
        self.steps = {each: torch.zeros((), device=each.device) for each in parameters}

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Take a step with the gradients that are there."""
        for decay, group in self._groups.items():
            moved = [each for each in group if each.grad is not None]
            adamw(
                list[Tensor](moved),
                [each.grad for each in moved if each.grad is not None],
                [self._first[each] for each in moved],
                [self._second[each] for each in moved],
                [],
                [self.steps[each] for each in moved],
                fused=True,
                amsgrad=False,
                beta1=self._inner.beta1,
                beta2=self._inner.beta2,
                lr=rate,
                weight_decay=decay,
                eps=EPSILON,
                maximize=False,
            )


class Sgd:
    """Plain gradient descent; only matrices decay."""

    def __init__(self, parameters: Parameters, inner: Inner) -> None:
        self._groups = by_decay(parameters, inner.weight_decay)

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Take a step with the gradients that are there."""
        for decay, group in self._groups.items():
            for parameter in group:
                if parameter.grad is not None:
                    parameter.sub_(parameter.grad.add(parameter, alpha=decay), alpha=rate)


def by_decay(parameters: Parameters, decay: float) -> dict[float, list[nn.Parameter]]:
    """Return the parameters by their weight decay: `decay` for matrices, and 0."""
    groups: dict[float, list[nn.Parameter]] = {}
    for parameter in parameters:
        groups.setdefault(decay if parameter.ndim > 1 else 0.0, []).append(parameter)
    return groups
