"""`e3m0`: Streaming DiLoCo's four bits (2501.18512): a sign and a power of two.

A chunk is its blocks' scales in bfloat16, each the largest magnitude of its block, then the symbols: a
sign and an exponent e, which stand for 0 where e is 0 and for ±scale·2^(e-7) elsewhere. All of it is
exact in float32, so decoding and encoding again changes nothing.
"""

import torch
from torch import Tensor

from peer.codec.blocks import as_blocks, pack_nibbles, unpack_nibbles
from peer.codec.chunked import ChunkedCodec, DecodeChunk, EncodeChunk
from peer.codec.formats import E3M0

BLOCK = E3M0.block

SMALLEST_SCALE = 2.0**-120
"""A block whose scale is below this is coded as zeros: its smallest level would be subnormal."""

_MANTISSA_BITS = 23
_BIAS = 127
_TOP = 7


class E3m0(ChunkedCodec):
    """Four bits a value and two bytes a block of 256; rounds to the nearest level, away from 0 at a tie.

    The levels are a factor of 2 apart: the error is up to a third of a value, and up to 1/128 of the
    block's largest magnitude where a value is smaller than the smallest level.
    """

    format = E3M0
    largest = torch.finfo(torch.bfloat16).max

    def _encoder(self, device: torch.device) -> EncodeChunk:  # noqa: ARG002
        def encode(chunk: Tensor, wire: Tensor) -> None:
            rows = as_blocks(chunk, BLOCK)
            scales = _scales(rows)
            symbols = _symbols(rows, scales.float().masked_fill_(scales == 0, torch.inf))
            of_scales = 2 * len(rows)
            wire[:of_scales].copy_(scales.view(torch.uint8))
            wire[of_scales:].copy_(pack_nibbles(symbols).view(-1))

        return encode

    def _decoder(self) -> DecodeChunk:
        def decode(wire: Tensor, chunk: Tensor) -> None:
            blocks = -(-chunk.numel() // BLOCK)
            scales = wire[: 2 * blocks].view(torch.bfloat16).to(chunk.device).float()
            packed = wire[2 * blocks :].view(blocks, -1).to(chunk.device)
            symbols = torch.empty(blocks, BLOCK, dtype=torch.int32, device=chunk.device)
            unpack_nibbles(packed, symbols)
            levels = _levels(symbols).mul_(scales[:, None])
            chunk.copy_(levels.view(-1)[: chunk.numel()])

        return decode

    def error_bound(self, tensor: Tensor) -> Tensor:
        """Return |x|/3 or, if that is more, the scale/128; |x| where the block is coded as zeros."""
        rows = as_blocks(tensor, BLOCK)
        scales = _scales(rows).float()[:, None]
        # The scale may round to below the largest value, by 2^-9 of it; x / scale rounds once more.
        bound = torch.maximum(rows.abs() / 3, scales / 128) * (1 + 2.0**-20)
        bound = torch.where(scales == 0, rows.abs(), bound)
        return bound.view(-1)[: tensor.numel()]


def _scales(rows: Tensor) -> Tensor:
    largest = torch.maximum(rows.amax(dim=1), rows.amin(dim=1).neg_()).to(torch.bfloat16)
    return largest.masked_fill_(largest < SMALLEST_SCALE, 0)


def _symbols(rows: Tensor, divisors: Tensor) -> Tensor:
    """Return sign·8 + e of each value, uint8."""
    ratios = (rows / divisors[:, None]).view(torch.int32)
    # Half a mantissa more, then only the exponent: the nearest power of two.
    magnitudes = ratios & 0x7FFFFFFF
    exponents = ((magnitudes + (1 << (_MANTISSA_BITS - 1))) >> _MANTISSA_BITS) - (_BIAS - _TOP)
    # Nearest to 2^-6 or 0 is another question: there the tie is at 2^-7, not at 3/4 of 2^-6.
    at_least_half = magnitudes >= ((_BIAS - _TOP) << _MANTISSA_BITS)
    exponents = torch.maximum(exponents, at_least_half.to(torch.int32)).clamp_(0, _TOP)
    negative = (ratios < 0) & (exponents > 0)
    return (exponents + (negative.to(torch.int32) << 3)).to(torch.uint8)


def _levels(symbols: Tensor) -> Tensor:
    """Return ±2^(e-7), or 0, of each int32 symbol."""
    exponents = symbols & 7
    bits = ((exponents + (_BIAS - _TOP)) << _MANTISSA_BITS) | ((symbols >> 3) << 31)
    return bits.masked_fill_(exponents == 0, 0).view(torch.float32)
