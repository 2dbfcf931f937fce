"""What every codec asks of a tensor before it writes a byte, and of values before it hands them out."""

import torch
from torch import Tensor

from peer.codec.base import CodecError

LARGEST = torch.finfo(torch.float32).max


def check_tensor(tensor: Tensor, name: str, largest: float = LARGEST) -> None:
    """Check that a tensor is flat, contiguous float32, and finite, up to `largest` in magnitude.

    Raises:
        CodecError: it is not; `name` is the codec's.
    """
    if tensor.dim() != 1 or tensor.dtype != torch.float32 or not tensor.is_contiguous():
        raise CodecError(
            f"a codec takes a flat, contiguous float32 tensor, "
            f"not {tensor.dtype} of shape {tuple(tensor.shape)}"
        )
    if not within(tensor, largest):
        unfit = tensor.abs().le(largest).logical_not()
        index = int(unfit.to(torch.uint8).argmax())
        raise CodecError(
            f"the value {float(tensor[index]):g} at index {index} is beyond {name}, "
            f"which carries up to {largest:g}"
        )


def within(values: Tensor, largest: float = LARGEST) -> bool:
    """Tell whether all magnitudes are at most `largest`: one pass, no temporary."""
    if values.numel() == 0:
        return True
    low, high = values.aminmax()  # a NaN anywhere makes both NaN, and the comparison false
    return -largest <= float(low) and float(high) <= largest
