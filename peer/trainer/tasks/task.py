"""What a plug-in implements to have its own task trained: model, data, loss and evaluation.

Imports no torch, so that `import peer` stays cheap.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from torch import Tensor, nn


class Examples(Protocol):
    """Examples by their numbers, from 0: a map-style `torch.utils.data.Dataset`, or any sequence.

    An example is a tensor or a number, or a tuple or dict of these, of the same shapes each time. The same
    number gives the same example, on every host.
    """

    def __len__(self) -> int:
        """Return how many there are."""

    def __getitem__(self, number: int, /) -> object:
        """Return one."""


class Task(ABC):
    """A task of one's own: a class with these methods, named as an entry point of `murmuration.tasks`.

    It is made with the run's settings as keyword arguments, in each peer's trainer process. All else, from
    the optimisers to the exchange and the checkpoints, is as for a language model. What the parameters do not
    hold, such as the running statistics of a batch norm, is neither shared nor kept.
    """

    @abstractmethod
    def model(self) -> "nn.Module":
        """Return the model on the CPU with its first weights, the same on every host.

        torch's generator has been seeded by the run, so layers may draw their weights as usual. Parameters
        without `requires_grad` stay as they are.
        """

    @abstractmethod
    def training(self) -> Examples:
        """Return what to train on. It is dealt into shards, of which each peer reads another first."""

    @abstractmethod
    def held_out(self) -> Examples:
        """Return what nobody trains on, the same for all."""

    @abstractmethod
    def loss(self, model: "nn.Module", batch: Any) -> "Tensor":  # noqa: ANN401 - as the examples are
        """Return the mean loss of a batch of examples, a scalar.

        Args:
            model: what `model` returned, on the device; in the mode in which it was returned, or in
                evaluation mode where it is judged.
            batch: examples side by side, as torch's `default_collate` puts them: a tensor, or a tuple or dict
                of tensors, whose first dimension counts the examples; on the device.
        """

    def measures(self, model: "nn.Module", batch: Any) -> "Mapping[str, Tensor | float]":  # noqa: ANN401 - likewise
        """Return what an evaluation tells beside the loss, such as `accuracy`: means over the batch."""
        del model, batch
        return {}
