"""`ecsq`: a uniform quantiser of coarse step and an entropy coder, the rate-distortion choice (2201.02664).

A chunk is a frame that zstd shrinks: its blocks' steps in bfloat16, then symbols, two to a byte. A Huffman
code over pairs of symbols comes within 0.05 bits a value of their entropy.
"""

import torch
from torch import Tensor

from peer.codec.base import CodecError
from peer.codec.blocks import as_blocks, pack_nibbles, unpack_nibbles
from peer.codec.formats import ECSQ
from peer.codec.squeeze import Reader, Squeezer
from peer.codec.streamed import StreamedCodec

BLOCK = ECSQ.block
LEVELS = 7
"""Symbols reach so far to either side; what lies beyond is clamped."""

SMALLEST_RMS = 2.0**-60
"""A block of smaller RMS is coded as zeros: the squares of its values begin to underflow."""

_OFFSET = 8  # a symbol is an index plus this; 0 is unused


class Ecsq(StreamedCodec):
    """About 3.1 bits a value at a step of half the block's RMS, 2.6 at 0.7, 2.15 at 1.

    The bytes carry the steps, so that any `Ecsq` decodes what any other encodes.

    Args:
        step: of the quantiser, in units of the RMS of a block of 1,024 values, in [0.05, 4].
    """

    format = ECSQ
    largest = 2.0**58  # a block's sum of squares is finite

    def __init__(self, step: float = 0.5) -> None:
        if not 0.05 <= step <= 4:
            raise ValueError(f"the step is {step} of the RMS; it must be in [0.05, 4]")
        self._step = step

    def _encode_chunk(self, chunk: Tensor, squeezer: Squeezer) -> bytes:
        rows = as_blocks(chunk, BLOCK)
        steps = self._steps(rows)
        symbols = (rows / _divisors(steps)[:, None]).round_().clamp_(-LEVELS, LEVELS).add_(_OFFSET)
        packed = pack_nibbles(symbols.to(torch.uint8)).view(-1)
        raw = torch.cat((steps.view(torch.uint8), packed)).cpu()
        return squeezer.frame(raw.numpy().data)

    def _decode_chunk(self, reader: Reader, chunk: Tensor) -> None:
        blocks = -(-chunk.numel() // BLOCK)
        size = blocks * ECSQ.block_bytes
        raw = torch.frombuffer(reader.frame(size, size), dtype=torch.uint8)
        steps = raw[: 2 * blocks].view(torch.bfloat16).to(chunk.device).float()
        if not bool(((steps >= 0) & (steps <= self.largest)).all()):
            raise CodecError("an ecsq step is negative, too large or not finite")
        rows = torch.empty(blocks, BLOCK, device=chunk.device)
        unpack_nibbles(raw[2 * blocks :].view(blocks, -1).to(chunk.device), rows)
        rows.sub_(_OFFSET).mul_(steps[:, None])
        chunk.copy_(rows.view(-1)[: chunk.numel()])

    def error_bound(self, tensor: Tensor) -> Tensor:
        """Return half a step, or how far a value lies beyond the outermost symbol if that is more.

        A block of outliers may clamp hard: its RMS is up to 32 times less than its largest magnitude.
        """
        rows = as_blocks(tensor, BLOCK)
        steps = self._steps(rows).float()[:, None]
        bound = torch.maximum(steps / 2 * (1 + 2.0**-20), rows.abs() - LEVELS * steps)
        return bound.view(-1)[: tensor.numel()]

    def _steps(self, rows: Tensor) -> Tensor:
        """Compute each row's step, bfloat16; 0 where the row is coded as zeros."""
        rms = torch.linalg.vector_norm(rows, dim=1) / BLOCK**0.5
        steps: Tensor = (self._step * rms).to(torch.bfloat16)
        return steps.masked_fill_(rms < SMALLEST_RMS, 0)


def _divisors(steps: Tensor) -> Tensor:
    """Return the steps as float32; a zero block is divided by infinity: x / 0 differs by device."""
    return steps.float().masked_fill_(steps == 0, torch.inf)
