"""Where the gradient of a replica's batch comes from: this process alone, or several that work together."""

from typing import Protocol

import torch
from torch import Tensor

from peer.trainer.device import give_back_cache
from peer.trainer.feed import Batch
from peer.trainer.fitting import Fitting
from peer.trainer.passes import Passes


class Gradients(Protocol):
    """Who computes gradients for a replica."""

    def of(self, examples: Batch, step: int, own_step: int) -> Tensor:
        """Leave the gradient of the mean loss in the replica's parameters, and return that loss.

        Args:
            examples: one batch, on the CPU.
            step: the inner step that the optimiser takes with it.
            own_step: the same, in steps that its state has seen.
        """

    def rest(self) -> None:
        """Hear that no step is made for a while: memory that only speeds up the next one can go."""


class Alone:
    """The gradients of one process with one device."""

    def __init__(self, passes: Passes, device: torch.device, fitting: Fitting | None = None) -> None:
        self._passes = passes
        self._device = device
        self._fitting = fitting

    def of(self, examples: Batch, step: int, own_step: int) -> Tensor:
        """See `Gradients`. Where memory runs out it goes on with the same batch in smaller parts."""
        del step, own_step
        if self._fitting is None:
            return self._passes.gradient(examples)
        return self._fitting.within(
            examples, self._passes, lambda most: self._passes.gradient(examples, most)
        )

    def rest(self) -> None:
        """See `Gradients`."""
        give_back_cache(self._device)
