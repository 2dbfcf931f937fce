"""The inner optimiser: AdamW, Muon or SGD with warm-up, cosine and clipping, and the losses' precision."""

import math
from contextlib import AbstractContextManager, nullcontext

import torch
from msgspec.structs import replace
from torch import Tensor, nn

from peer.trainer.flat import trainable
from peer.trainer.muon import Muon
from peer.trainer.optimisers import AdamW, Optimiser, Parameters, Sgd
from protocol.manifest import Inner

MATRIX = 2
"""Dimensions."""


def learning_rate(inner: Inner, step: int, own_step: int) -> float:
    """Return the learning rate of the run's inner step `step`, counted from 0.

    A linear warm-up over `inner.warmup` steps, then a cosine (arXiv 1608.03983) that ends at
    `inner.steps` at `final_ratio` of the peak. Adam's state is never exchanged, so a newcomer starts
    with a fresh one and ramps its own rate as well: `own_step` counts the steps of that state.
    """
    ramp = min(1.0, (min(step, own_step) + 1) / max(1, inner.warmup))
    through = (step - inner.warmup) / max(1, inner.steps - inner.warmup)
    cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, max(0.0, through))))
    return inner.learning_rate * ramp * (inner.final_ratio + (1 - inner.final_ratio) * cosine)


def for_batch(inner: Inner, batch: int) -> Inner:
    """Return `inner` for a host whose inner steps take `batch` sequences instead of the manifest's.

    beta2' = beta2^(B'/B), so that the second moment forgets after as many tokens as everybody's; beta1 and
    the learning rate stay (arXiv 2507.07101, section 3).
    """
    return replace(inner, beta2=inner.beta2 ** (batch / inner.batch))


def hidden_matrices(module: nn.Module) -> list[nn.Parameter]:
    """Return the matrices that are no embedding: those that Muon's orthogonal updates are made for.

    Filters of a convolution, with more dimensions, are none.
    """
    embeddings = {part.weight for part in module.modules() if isinstance(part, nn.Embedding)}
    return [each for each in trainable(module).values() if each.ndim == MATRIX and each not in embeddings]


class InnerOptimiser:
    """The manifest's optimiser over a flattened module; its moments are flat too, and are saved as they lie.

    Attributes:
        first: running means of the gradients, 1-D fp32, in the order of the flat weights; empty for `sgd`.
        second: running means of their squares, likewise, of those parameters that AdamW trains.
    """

    def __init__(self, module: nn.Module, flat: Tensor, inner: Inner) -> None:
        self._inner = inner
        self._parameters = list(trainable(module).values())
        hidden = hidden_matrices(module) if inner.kind == "muon" else []
        apart = set(hidden)
        rest = [parameter for parameter in self._parameters if parameter not in apart]
        self._optimisers: list[Optimiser] = []
        self._steps: list[Tensor] = []
        """AdamW's counts of its steps."""
        self.first = self.second = flat.new_empty(0)
        if inner.kind == "sgd":
            self._optimisers.append(Sgd(rest, inner))
            return
        self.first = torch.zeros_like(flat)
        self.second = flat.new_zeros(sum(parameter.numel() for parameter in rest))
        first = _views(self._parameters, self.first)
        if hidden:
            # Its updates are as large as AdamW's, so one rate serves both.
            self._optimisers.append(Muon(hidden, first, inner.beta1, inner.weight_decay))
        others = AdamW(rest, first, _views(rest, self.second), inner)
        self._steps += others.steps.values()
        self._optimisers.append(others)

    def step(self, step: int, own_step: int) -> None:
        """Clip the gradients, take the step at the schedule's rate, and free the gradients."""
        rate = learning_rate(self._inner, step, own_step)
        torch.nn.utils.clip_grad_norm_(self._parameters, self._inner.clip)
        for optimiser in self._optimisers:
            optimiser.step(rate)
        for parameter in self._parameters:
            parameter.grad = None

    @torch.no_grad()
    def restore(self, first: Tensor, second: Tensor, own_steps: int) -> None:
        """Take over saved moments and the number of steps that they have seen."""
        self.first.copy_(first)
        self.second.copy_(second)
        for count in self._steps:
            count.fill_(own_steps)


def _views(parameters: Parameters, flat: Tensor) -> dict[nn.Parameter, Tensor]:
    """Return a view of `flat` in the shape of each parameter, one after the other."""
    parts = torch.split(flat, [parameter.numel() for parameter in parameters])
    return {each: part.view(each.shape) for each, part in zip(parameters, parts, strict=True)}


def precision(inner: Inner, device: torch.device) -> AbstractContextManager[object]:
    """Return the context in which losses are computed on `device`; trained weights stay fp32."""
    if _in_bf16(inner, device):
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return nullcontext()


def held_in(inner: Inner, device: torch.device) -> torch.dtype:
    """Return in which type weights are held that are not trained: the one in which is computed."""
    return torch.bfloat16 if _in_bf16(inner, device) else torch.float32


def _in_bf16(inner: Inner, device: torch.device) -> bool:
    """`auto` is bf16 only where the device's arithmetic units know it: elsewhere it is slower, not faster."""
    native = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return inner.precision == "bf16" or (inner.precision == "auto" and native)
