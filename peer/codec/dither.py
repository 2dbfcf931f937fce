"""Numbers that both sides of an exchange compute alike from a seed, on any device.

Only integer arithmetic modulo 2^32, and its rounding to float32: torch's own random numbers differ between
devices and releases.
"""

import torch
from torch import Tensor

from peer.codec.formats import CHUNK

_STRIDE = 0x9E3779B1  # odd: consecutive chunks are shifted by different amounts
_MIX = 0x21F0AAAD
_MASK = 0xFFFFFFFF
_UNSIGNED_SHIFTED = _MASK >> 15  # torch shifts copies of the sign in


class Dither:
    """A hash of (seed, index) for each value of a tensor.

    Chunks share one table, to which each adds a constant of its own: one operation a value.

    Attributes:
        weights: odd numbers, int32, for the places of a chunk: a checksum that multiplies by one of them,
            modulo 2^32, loses nothing.
    """

    def __init__(self, seed: int, values: int, device: torch.device) -> None:
        """Make the table for a tensor of so many values; `seed` counts modulo 2^64."""
        words = torch.arange(min(values, CHUNK), dtype=torch.int32, device=device)
        for half in (seed & _MASK, seed >> 32 & _MASK):
            words.bitwise_xor_(_signed(half))
            for _ in range(2):
                words.mul_(_signed(_MIX))
                words.bitwise_xor_((words >> 15).bitwise_and_(_UNSIGNED_SHIFTED))
        self._table = words
        self._work = torch.empty_like(words)
        self.weights = words | 1

    def words(self, chunk: int, values: int) -> Tensor:
        """Return the hashes of the first values of a chunk, int32; overwritten by the next call."""
        shift = _signed(_STRIDE * chunk & _MASK)
        return torch.add(self._table[:values], shift, out=self._work[:values])


def uniform(words: Tensor) -> Tensor:
    """Return numbers of [-1/2, 1/2] as float32."""
    return words * 2.0**-32


def _signed(word: int) -> int:
    """Return the int32 of the same bits."""
    return word - (1 << 32) if word >> 31 else word
