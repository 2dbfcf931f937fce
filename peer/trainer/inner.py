"""The inner optimiser: AdamW with warm-up, cosine and clipping, and the precision it computes in."""

import math
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from peer.trainer.flat import pieces
from protocol.manifest import Inner

EPSILON = 1e-8


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


def adamw(module: nn.Module, inner: Inner) -> torch.optim.AdamW:
    """Return AdamW (arXiv 1711.05101) over `module`; only matrices decay."""
    matrices = [parameter for parameter in module.parameters() if parameter.ndim > 1]
    vectors = [parameter for parameter in module.parameters() if parameter.ndim <= 1]
    return torch.optim.AdamW(
        [
            {"params": matrices, "weight_decay": inner.weight_decay},
            {"params": vectors, "weight_decay": 0.0},
        ],
        lr=inner.learning_rate,
        betas=(inner.beta1, inner.beta2),
        eps=EPSILON,
        fused=True,
    )


class InnerOptimiser:
    """AdamW over a flattened module, its two moments flat as well, so that they are saved as they lie.

    Attributes:
        first: running mean of the gradients, 1-D fp32, parameters in the order of the flat weights.
        second: running mean of their squares, likewise.
    """

    def __init__(self, module: nn.Module, flat: Tensor, inner: Inner) -> None:
        self._inner = inner
        self._parameters = list(module.parameters())
        self._adamw = adamw(module, inner)
        self.first = torch.zeros_like(flat)
        self.second = torch.zeros_like(flat)
        views = zip(pieces(module, self.first).values(), pieces(module, self.second).values(), strict=True)
        for parameter, (first, second) in zip(self._parameters, views, strict=True):
            self._adamw.state[parameter] = {
                "step": torch.zeros((), device=flat.device),
                "exp_avg": first,
                "exp_avg_sq": second,
            }

    def step(self, step: int, own_step: int) -> None:
        """Clip the gradients, take the step at the schedule's rate, and free the gradients."""
        rate = learning_rate(self._inner, step, own_step)
        for group in self._adamw.param_groups:
            group["lr"] = rate
        torch.nn.utils.clip_grad_norm_(self._parameters, self._inner.clip)
        self._adamw.step()
        self._adamw.zero_grad()

    @torch.no_grad()
    def restore(self, first: Tensor, second: Tensor, own_steps: int) -> None:
        """Take over saved moments and the number of steps that they have seen."""
        self.first.copy_(first)
        self.second.copy_(second)
        for state in self._adamw.state.values():
            state["step"].fill_(own_steps)


def precision(inner: Inner, device: torch.device) -> AbstractContextManager[object]:
    """Return the context in which losses are computed on `device`; weights stay fp32.

    `auto` is bf16 only where the device's arithmetic units know it: elsewhere it is slower, not faster.
    """
    native = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    if inner.precision == "bf16" or (inner.precision == "auto" and native):
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return nullcontext()
