"""The forward and backward passes of a batch: one where memory allows it, else a few examples at a time."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from peer.trainer.device import upload
from peer.trainer.feed import Batch
from peer.trainer.parts import number_of_portions, portions, size


class Passes:
    """Passes of batches through a net that returns the mean loss of what it is given.

    Cutting a batch changes the result by no more than rounding, as each part counts for the examples in it;
    a batch that passes whole is computed as a plain loop computes it, bit for bit.
    """

    def __init__(
        self,
        net: nn.Module,
        device: torch.device,
        precision: AbstractContextManager[object],
        apart: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        """Take the net and where its losses are computed.

        Args:
            net: on `device`.
            device: of the net.
            precision: context in which losses are computed.
            apart: gives the context of each pass of a batch but the last, in which ranks' gradients meet.
        """
        self._net = net
        self._device = device
        self._precision = precision
        self._apart = apart

    def through(self, net: nn.Module, apart: Callable[[], AbstractContextManager[object]]) -> "Passes":
        """Return passes through another net on the same device."""
        return Passes(net, self._device, self._precision, apart)

    def gradient(self, examples: Batch, most: int | None = None, weight: float = 1.0) -> Tensor:
        """Add the gradient of the mean loss to the parameters' own; return the loss, an fp32 scalar.

        Args:
            examples: on the CPU.
            most: of them in one pass; None for all.
            weight: that multiplies loss and gradient.
        """
        count = size(examples)
        left = number_of_portions(count, most)
        losses: list[Tensor] = []
        for part in portions(examples, most):
            left -= 1
            with self._apart() if left else nullcontext():
                losses.append(self._one(part, weight * (size(part) / count)))
        return losses[0] if len(losses) == 1 else torch.stack(losses).sum()

    def _one(self, part: Batch, weight: float) -> Tensor:
        batch = upload(part, self._device)
        with self._precision:
            loss: Tensor = self._net(batch)
        scaled = loss if weight == 1.0 else loss * weight
        torch.autograd.backward(scaled)
        return scaled.detach()

    def forget(self) -> None:
        """Drop gradients that a pass has left which did not end."""
        for parameter in self._net.parameters():
            parameter.grad = None


def mean_loss(net: Callable[[Batch], Tensor], batch: Batch, most: int | None) -> Tensor:
    """Return the mean loss of a batch on the net's device, without a gradient, `most` examples at a time."""
    count = size(batch)
    losses = [
        net(part) if size(part) == count else net(part) * (size(part) / count)
        for part in portions(batch, most)
    ]
    return losses[0] if len(losses) == 1 else torch.stack(losses).sum()
