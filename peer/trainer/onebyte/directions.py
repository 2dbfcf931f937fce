"""Random directions of +-1, made anew from 64-bit keys wherever they are needed, chunk by chunk.

Bit j of the direction with key k comes from a hash of (k, j) alone, in integers: it is the same on every
device, and any chunk of it can be made without those before. So many directions are added up one chunk after
the other, in cache.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

WORDS = 8192
"""32-bit words of a chunk. Bit b of word w is the sign of the chunk's parameter b * WORDS + w."""

BITS = 32
CHUNK = BITS * WORDS
"""Parameters of a chunk: with the sums over it, 2 MiB."""

CHUNKS_ON_A_GPU = 64
"""Chunks made at a time where a kernel's launch costs more than its memory traffic."""

TOGETHER = 256
"""Directions that are added up in 32 bits before the sum moves to 64: each weighs at most 2^21."""

_GOLDEN, _FIRST, _SECOND = (
    value - (1 << 64) for value in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
)


def add_directions(total: Tensor, keys: Sequence[int], weights: Sequence[int]) -> None:
    """Add weighted directions to a sum, exactly; the order changes nothing.

    Args:
        total: int64 (parameters,).
        keys: of the directions.
        weights: what each counts for, at most 2^21 either way.
    """
    for start, block in _blocks(total):
        bits = _Bits(block.numel(), start, total.device)
        for first in range(0, len(keys), TOGETHER):
            group = range(first, min(first + TOGETHER, len(keys)))
            part = torch.zeros(bits.shape, dtype=torch.int32, device=total.device)
            for i in group:
                part.add_(bits.of(keys[i]), alpha=2 * weights[i])
            # A bit is 0 or 1 and its sign -1 or 1: twice the bit, less one.
            block.add_(part.flatten()[: block.numel()]).sub_(sum(weights[i] for i in group))


def perturb(values: Tensor, key: int, size: float) -> None:
    """Add `size` times a direction to fp32 (parameters,)."""
    for start, block in _blocks(values):
        bits = _Bits(block.numel(), start, values.device)
        signs = bits.of(key).flatten()[: block.numel()].to(torch.float32)
        block.add_(signs.mul_(2 * size).sub_(size))


def _blocks(flat: Tensor) -> Iterator[tuple[int, Tensor]]:
    """Yield each block of whole chunks with the number of its first chunk."""
    size = CHUNK * (1 if flat.device.type == "cpu" else CHUNKS_ON_A_GPU)
    for start in range(0, flat.numel(), size):
        yield start // CHUNK, flat[start : start + size]


class _Bits:
    """Makes the bits of one block, direction after direction, in the same memory.

    Attributes:
        shape: (chunks, bits, words): flattened, the parameters in order. A last chunk may be cut short.
    """

    def __init__(self, parameters: int, first_chunk: int, device: torch.device) -> None:
        chunks = -(-parameters // CHUNK)
        rows = BITS if chunks > 1 else -(-parameters // WORDS)
        self.shape = (chunks, rows, WORDS)
        self._shifts = torch.arange(rows, dtype=torch.int32, device=device).view(1, rows, 1)
        # A 64-bit hash makes two words.
        first, count = first_chunk * WORDS // 2, chunks * WORDS // 2
        self._counters = torch.arange(first + 1, first + count + 1, device=device) * _GOLDEN
        self._hash = torch.empty_like(self._counters)
        self._bits = torch.empty(self.shape, dtype=torch.int32, device=device)

    def of(self, key: int) -> Tensor:
        """Return the bits of the direction with this key, int32 of `shape`; the next call overwrites them."""
        words = _hash(self._counters, key, self._hash).view(torch.int32).view(-1, 1, WORDS)
        torch.bitwise_right_shift(words, self._shifts, out=self._bits)
        return self._bits.bitwise_and_(1)


def _hash(counters: Tensor, key: int, out: Tensor) -> Tensor:
    """Return SplitMix64 (Steele et al. 2014) of int64 counters that have been multiplied by its increment."""
    torch.add(counters, key - (1 << 64) if key >> 63 else key, out=out)
    # A shift of signed integers copies the sign bit, which the masks take away.
    out.bitwise_xor_((out >> 30).bitwise_and_((1 << 34) - 1)).mul_(_FIRST)
    out.bitwise_xor_((out >> 27).bitwise_and_((1 << 37) - 1)).mul_(_SECOND)
    return out.bitwise_xor_((out >> 31).bitwise_and_((1 << 33) - 1))
