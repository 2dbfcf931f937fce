"""How far apart two peers' values may lie, block by block: what sets the step of `modulo`."""

import math
import struct
from dataclasses import dataclass

import torch
from torch import Tensor

from peer.codec.base import CodecError
from peer.codec.blocks import as_blocks
from peer.codec.checks import check_tensor
from peer.codec.formats import CHUNK, MODULO_BLOCK, bounds_size, modulo_blocks

OCTAVE = (256, 279, 304, 332, 362, 395, 431, 470)
"""An octave of the grid in 256ths, 9% apart: fractions of two float32, so that no logarithm is needed."""

SPAN = 32
"""Octaves of the grid; from its lowest bound to its highest it is a factor of 2^32."""

LEAST, MOST = -110, 69
"""Where the grid may begin, as an exponent of 2: steps stay normal float32, decoded values finite."""

HIGHEST = OCTAVE[-1] / 256 * 2.0 ** (MOST + SPAN - 1)
"""Nothing beyond it is expected; what differs by more is sent again."""

FLOOR = 2.0**-9
"""A bound is never less than this of the block's own largest magnitude.

Replicas that agree would else leave a step of nothing for their next difference. At 4 bits it costs an
error of 2^-13 of the largest magnitude, far below bfloat16's.
"""

DECAY = 0.8
"""How much of the previous bound stays at the least; bounds are rounded up, so it is 0.83 in fact.

Of 8 peers in random pairs one that had met near partners twice found nearly every block failed at the next:
at 0.63, 19% of all blocks in the worst outer step; at 0.8, 1%.
"""

GROWTH = 2.5
"""At first bounds are so many times wider.

Early in a run peers move further apart with each outer step (from the first to the second 1.5 times, up
to 4 in some blocks), and one distance says little of the next partner's. `DECAY` takes it back within a
few exchanges.
"""

PEAK = 3.3
"""The largest of a block of Gaussian values, in RMS."""


@dataclass(frozen=True, slots=True, eq=False)
class Bounds:
    """The largest |x_i - x_j| that is expected in each block, on a logarithmic grid.

    A bound with code c is OCTAVE[c mod 8]/256 · 2^(base + c // 8).

    Attributes:
        base: exponent of the grid's lowest bound.
        codes: uint8 (blocks,), on the CPU.
    """

    base: int
    codes: Tensor

    @classmethod
    def from_distance(
        cls,
        own: Tensor,
        other: Tensor,
        previous: "Bounds | None" = None,
        safety: float = 1.5,
        decay: float = DECAY,
        bits: int | None = None,
    ) -> "Bounds":
        """Expect the next partner within `safety` times the running maximum of the distance to the last ones.

        Args:
            own: one's own values, flat float32.
            other: a partner's, as decoded last.
            previous: the bounds until now; None at the first exchange.
            safety: how much more than the largest distance seen.
            decay: how much of a previous bound stays. Bounds are rounded up by as much as 9%, so a decay
                above 0.91 never lets one shrink.
            bits: with which `other` was decoded under `previous`; None where it is nearly exact. What the
                rounding added to the distance is then taken off. Without that, bounds at 2 bits are twice
                as wide as they need be, and at 1 bit grow without end.

        Raises:
            CodecError: the values are not finite, or the lengths differ.
        """
        for tensor in (own, other):
            check_tensor(tensor, "a distance")
        if own.numel() != other.numel() or (previous and previous.blocks != modulo_blocks(own.numel())):
            raise CodecError(
                f"{own.numel()} values, {other.numel()} and the previous bounds do not fit together"
            )
        apart, squares = _distances(own, other)
        if previous is None:
            apart *= GROWTH
        elif bits is not None:
            # Beyond half of all indices no rounding reaches: such a block had failed, and is exact.
            steps = previous.steps(bits)
            rounded = apart <= steps * 2 ** (bits - 1)
            apart = torch.where(rounded, _without_rounding(apart, squares, steps), apart)
        wanted = torch.maximum(safety * apart, FLOOR * _largest(own).cpu())
        if previous is not None:
            wanted = torch.maximum(wanted, decay * previous.largest())
        return cls._covering(wanted)

    @classmethod
    def uniform(cls, values: int, largest: float) -> "Bounds":
        """Expect the same everywhere, as before the first exchange, when no distance is known.

        Raises:
            CodecError: `largest` is negative or not finite.
        """
        if not 0 <= largest < math.inf:
            raise CodecError(f"a bound of {largest} is of no use")
        return cls._covering(torch.full((modulo_blocks(values),), min(largest, HIGHEST)))

    @classmethod
    def from_bytes(cls, data: memoryview | bytes, values: int) -> "Bounds":
        """Read the bounds for so many values, of any content.

        Raises:
            CodecError: the length is wrong, or the grid begins where none may.
        """
        size = bounds_size(values)
        if len(data) != size:
            raise CodecError(f"the bounds of {values} values take {size} bytes; there are {len(data)}")
        copy = bytearray(data)
        (base,) = struct.unpack_from("<b", copy)
        if not LEAST <= base <= MOST:
            raise CodecError(f"a grid of bounds that begins at 2^{base} is not in 2^{LEAST} to 2^{MOST}")
        return cls(base, torch.frombuffer(copy, dtype=torch.uint8)[1:])

    def to_bytes(self) -> bytes:
        """Return what `from_bytes` reads: `formats.bounds_size` bytes."""
        return struct.pack("<b", self.base) + self.codes.numpy().tobytes()

    @property
    def blocks(self) -> int:
        """How many blocks there are."""
        return self.codes.numel()

    def largest(self) -> Tensor:
        """Return the bounds, float32 (blocks,), on the CPU."""
        return torch.tensor(_grid(self.base), dtype=torch.float32)[self.codes.long()]

    def steps(self, bits: int) -> Tensor:
        """Return the quantiser's step of each block, float32 (blocks,): the same on every machine.

        Of the 2^bits indices that share a remainder's neighbourhood, one is given to the sender's rounding
        and 1/16 to that of float32: whatever lies within the bound decodes right.
        """
        share = 2 / (2**bits - 1 - 1 / 16)
        grid = [bound * share for bound in _grid(self.base)]
        return torch.tensor(grid, dtype=torch.float32)[self.codes.long()]

    @classmethod
    def _covering(cls, wanted: Tensor) -> "Bounds":
        """Round up to the grid; what is beyond its ends becomes its ends."""
        highest = min(float(wanted.max()), HIGHEST) if wanted.numel() else 0.0
        base = min(max(math.frexp(highest)[1] - SPAN + 1, LEAST), MOST)
        grid = torch.tensor(_grid(base), dtype=torch.float32)
        return cls(base, torch.bucketize(wanted, grid).clamp_(max=len(grid) - 1).to(torch.uint8))


def _grid(base: int) -> list[float]:
    return [part / 256 * 2.0 ** (base + octave) for octave in range(SPAN) for part in OCTAVE]


def _distances(own: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Return each block's largest distance, and the mean of their squares, on the CPU."""
    largest, sums = [], []
    for mine, theirs in zip(torch.split(own, CHUNK), torch.split(other, CHUNK), strict=True):
        apart = mine - theirs
        largest.append(_largest(apart))
        sums.append(as_blocks(apart, MODULO_BLOCK).square().sum(dim=1))
    counts = torch.full((modulo_blocks(own.numel()),), float(MODULO_BLOCK))
    counts[-1:] -= -own.numel() % MODULO_BLOCK
    return torch.cat(largest).cpu(), torch.cat(sums).cpu() / counts


def _without_rounding(apart: Tensor, squares: Tensor, steps: Tensor) -> Tensor:
    """Estimate how large the largest distances were before the dither's error, uniform over a step, came in.

    From the largest, less half a step; or from the mean square, less the error's, if that is more.
    """
    rms = (squares - steps.square() / 12).nan_to_num_(nan=0, posinf=0).clamp_(min=0).sqrt_()
    return torch.maximum(apart - steps / 2, PEAK * rms)


def _largest(values: Tensor) -> Tensor:
    """Return each block's largest magnitude."""
    rows = as_blocks(values, MODULO_BLOCK)
    return torch.maximum(rows.amax(dim=1), rows.amin(dim=1).neg_())
