"""Values by the block, and two four-bit symbols to a byte."""

from torch import Tensor
from torch.nn.functional import pad


def as_blocks(values: Tensor, block: int) -> Tensor:
    """View a flat tensor as rows of one block, zeros after its end; only a short last block costs a copy."""
    short = -values.numel() % block
    return (pad(values, (0, short)) if short else values).view(-1, block)


def pack_nibbles(symbols: Tensor) -> Tensor:
    """Pack rows of uint8 symbols below 16: the first half of a row low, its second half high."""
    half = symbols.shape[1] // 2
    return symbols[:, :half] | (symbols[:, half:] << 4)


def unpack_nibbles(packed: Tensor, out: Tensor) -> None:
    """Write the symbols that `pack_nibbles` packed into rows of any dtype."""
    half = packed.shape[1]
    out[:, :half] = packed & 15
    out[:, half:] = packed >> 4
