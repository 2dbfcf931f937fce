"""Where the trainable parameters of a model lie in the flat weights: before, in, and after its layers.

From it follow a run's sizes and fragments, in processes that never load torch.
"""

from typing import Annotated

from msgspec import Meta

from protocol.codec import Message
from protocol.limits import MAX_OBJECT

MOST_PARAMETERS = MAX_OBJECT // 8
"""Two fp32 tensors of so many values are the largest object."""

Count = Annotated[int, Meta(ge=0, le=MOST_PARAMETERS)]


class Layout(Message, frozen=True):
    """Parameters in the order of the flat weights. A model whose layers differ is one layer."""

    first: Count = 0
    """Before the first layer."""
    layer: Annotated[int, Meta(ge=1, le=MOST_PARAMETERS)] = 1
    """In each layer."""
    layers: Annotated[int, Meta(ge=1, le=4096)] = 1
    last: Count = 0
    """After the last layer."""

    @property
    def parameters(self) -> int:
        """All of them."""
        return self.first + self.layers * self.layer + self.last
