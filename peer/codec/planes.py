"""Small indices as bits: any width from 1 to 8, no bit wasted."""

from collections.abc import Iterator

import torch
from torch import Tensor


def pack(indices: Tensor, bits: int, out: Tensor) -> None:
    """Write the low bits of integers.

    A width is the sum of planes of 8, 4, 2 and 1 bits, low bits first. A plane's bytes each hold fields from
    equally many places of the row: the first part of the row in the lowest bits.

    Args:
        indices: int32 (rows, columns), columns a multiple of 8, of any sign.
        bits: how many to keep, 1 to 8.
        out: uint8 on the host, of bits/8 bytes an index.
    """
    low = indices.to(torch.uint8)  # modulo 256
    start = 0
    for width, shift in _planes(bits):
        parts = low.bitwise_right_shift(shift).bitwise_and_(2**width - 1).chunk(8 // width, dim=1)
        packed = parts[0].clone()
        for place, part in enumerate(parts[1:], 1):
            packed.bitwise_or_(part << (place * width))
        end = start + packed.numel()
        out[start:end].copy_(packed.view(-1))
        start = end


def unpack(packed: Tensor, bits: int, rows: int) -> Tensor:
    """Return what `pack` wrote, uint8 (rows, columns), on the device of `packed`."""
    columns = packed.numel() * 8 // (rows * bits)
    low = torch.zeros(rows, columns, dtype=torch.uint8, device=packed.device)
    start = 0
    for width, shift in _planes(bits):
        end = start + rows * columns * width // 8
        plane = packed[start:end].view(rows, -1)
        for place, part in enumerate(low.chunk(8 // width, dim=1)):
            part.bitwise_or_((plane >> (place * width) & (2**width - 1)) << shift)
        start = end
    return low


def _planes(bits: int) -> Iterator[tuple[int, int]]:
    """Yield each plane's width, and the bits below it."""
    shift = 0
    for width in (8, 4, 2, 1):
        if bits & width:
            yield width, shift
            shift += width
