"""`int8`: a signed byte a value, times a scale that a block shares.

A chunk is its blocks' scales in bfloat16, then its values. A scale is the block's largest magnitude
over 127, rounded. Its 8 significant bits times a code's 7 are exact in float32, and its rounding (at
most 1 in 257) never moves the largest code from 127: so decoding and encoding again changes nothing,
and no finite value overflows.
"""

import torch
from torch import Tensor

from peer.codec.blocks import as_blocks
from peer.codec.chunked import ChunkedCodec, DecodeChunk, EncodeChunk
from peer.codec.formats import CHUNK, INT8

BLOCK = INT8.block
LEVELS = 127

SMALLEST_SCALE = torch.finfo(torch.bfloat16).tiny
"""A block whose scale would be subnormal (magnitudes below 1.5e-36) is coded as zeros.

Devices may flush subnormals to zero, so their arithmetic is not the same everywhere.
"""


class Int8(ChunkedCodec):
    """One byte a value and two a block.

    The error is at most half a scale, which is 1/254 of the block's largest magnitude and up to
    1/256 of that more.
    """

    format = INT8

    def _encoder(self, device: torch.device) -> EncodeChunk:
        work = torch.empty(CHUNK, dtype=torch.float32, device=device)

        def encode(chunk: Tensor, wire: Tensor) -> None:
            rows = as_blocks(chunk, BLOCK)
            scales = _scales(rows)
            # A zero block is divided by infinity: what x / 0 becomes as an integer differs by device.
            divisors = scales.float().masked_fill_(scales == 0, torch.inf)
            codes = work[: rows.numel()]
            torch.div(rows, divisors[:, None], out=codes.view_as(rows)).round_()
            of_scales = len(rows) * self.format.block_bytes
            wire[:of_scales].copy_(scales.view(torch.uint8))
            wire[of_scales:].view(torch.int8).copy_(codes[: chunk.numel()])

        return encode

    def _decoder(self) -> DecodeChunk:
        def decode(wire: Tensor, chunk: Tensor) -> None:
            values = chunk.numel()
            blocks = -(-values // BLOCK)
            of_scales = blocks * self.format.block_bytes
            scales = wire[:of_scales].view(torch.bfloat16).to(chunk.device).float()
            chunk.copy_(wire[of_scales:].view(torch.int8).to(chunk.device))
            whole = values // BLOCK
            chunk[: whole * BLOCK].view(whole, BLOCK).mul_(scales[:whole, None])
            chunk[whole * BLOCK :].mul_(scales[-1])

        return decode

    def error_bound(self, tensor: Tensor) -> Tensor:
        """Return each block's half scale, or its largest magnitude where it is coded as zeros."""
        largest = as_blocks(tensor, BLOCK).abs().amax(dim=1)
        half_scale = largest * ((1 + 2.0**-7) / (2 * LEVELS))
        bound = torch.where(largest < (LEVELS + 1) * SMALLEST_SCALE, largest, half_scale)
        return bound.repeat_interleave(BLOCK)[: tensor.numel()]


def _scales(rows: Tensor) -> Tensor:
    """Compute each row's scale, bfloat16; 0 where it would be subnormal."""
    largest = torch.maximum(rows.amax(dim=1), rows.amin(dim=1).neg_())
    scales = (largest / LEVELS).to(torch.bfloat16)
    return scales.masked_fill_(scales < SMALLEST_SCALE, 0)
