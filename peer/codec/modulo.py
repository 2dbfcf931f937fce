"""`modulo`: values coded against the receiver's own, so that two peers need nothing in common.

The sender rounds its values to a dithered grid and sends each index modulo 2^bits only; the receiver takes
the candidate nearest to its own value (Moniqua, 2002.11787; as a lattice, 2002.09268). That is right
wherever the two differ by less than the block's bound, which the receiver sent beforehand (`Bounds`). A
checksum of the true indices finds the blocks where it is not; they are sent again (`peer.codec.resend`).

A message is a header (bits, seed, values), then by the chunk: a checksum of 16 bits a block, then the
remainders in bit planes.
"""

import struct
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from peer.codec import planes
from peer.codec.base import CodecError
from peer.codec.blocks import as_blocks
from peer.codec.bounds import Bounds
from peer.codec.checks import check_tensor
from peer.codec.dither import Dither, uniform
from peer.codec.formats import CHUNK, MODULO_BLOCK, MODULO_HEADER, modulo_blocks, modulo_size
from peer.codec.resend import decode_blocks, encode_blocks, pack_failed, patch, unpack_failed

__all__ = [
    "BLOCK",
    "Bounds",
    "Encoded",
    "decode",
    "decode_blocks",
    "encode",
    "encode_blocks",
    "pack_failed",
    "patch",
    "unpack_failed",
]

BLOCK = MODULO_BLOCK
MOST_BITS = 8

LARGEST_INDEX = 2.0**16
"""Beyond it float32 leaves too little of a step for the rounding; a block that reaches it is not coded."""

_HEADER = struct.Struct("<BQQ")
_BLOCKS = CHUNK // BLOCK
_NOT_CODED = 0xFFFF  # no checksum is this


@dataclass(frozen=True, slots=True)
class Encoded:
    """A message, and what it says.

    Attributes:
        data: `formats.modulo_size` bytes.
        values: x̂, the values as the receiver decodes them, bit for bit, once `patch` has put in what was
            sent again. Flat float32, on the device of what was encoded.
    """

    data: bytes
    values: Tensor


@torch.no_grad()
def encode(x: Tensor, bounds: Bounds, bits: int, seed: int) -> Encoded:
    """Write values for a receiver that holds others, near by.

    The error is at most 1.07·bound/(2^bits - 1): half a step. It is uniform and has no mean, whatever the
    values are, for the dither is taken off again.

    Args:
        x: flat float32.
        bounds: the receiver's, and nobody's else. They set the error: believe no stranger's blindly.
        bits: for each value, 1 to 8.
        seed: of the dither, counted modulo 2^64; another for each message.

    Raises:
        CodecError: a value is not finite, or the bounds are for another length.
    """
    check_tensor(x, "modulo")
    grid = _Grid(bounds, bits, seed, x.numel(), x.device)
    out = bytearray(modulo_size(x.numel(), bits))
    _HEADER.pack_into(out, 0, bits, seed % 2**64, x.numel())
    values = torch.empty_like(x)
    for number, start in enumerate(range(0, x.numel(), CHUNK)):
        rows = as_blocks(x[start : start + CHUNK], BLOCK)
        piece = grid.piece(number, rows)
        indices = rows.mul(piece.inverse).sub_(piece.offsets)
        beyond = _limit(indices)
        whole = indices.round_().to(torch.int32)
        sums = _checksums(whole, piece.weights).masked_fill_(beyond, _NOT_CODED)
        wire = grid.wire(out, number, len(rows))
        wire[: 2 * len(rows)].copy_(sums.view(torch.uint8).view(-1, 4)[:, :2].reshape(-1))
        planes.pack(whole, bits, wire[2 * len(rows) :])
        decoded = indices.add_(piece.offsets).mul_(piece.steps).view(-1)
        values[start : start + CHUNK] = decoded[: x.numel() - start]
    return Encoded(bytes(out), values)


@torch.no_grad()
def decode(data: memoryview | bytes, reference: Tensor, bounds: Bounds) -> tuple[Tensor, Tensor]:
    """Read values that are near one's own.

    Args:
        data: bytes from the network, of any content. What they decode to is finite, and within about
            the bound of `reference`.
        reference: one's own values, flat float32. They may have changed since the bounds were sent.
        bounds: those that were sent to the sender.

    Returns:
        The values, flat float32 on the device of `reference`; and the numbers of the blocks whose checksum
        differs, int64, ascending, on the CPU. Those hold `reference` until `decode_blocks` mends them. One
        wrong block in 65,536 passes for right.

    Raises:
        CodecError: the bytes are no message of so many values, or `reference` is not finite.
    """
    check_tensor(reference, "modulo")
    bits, seed = _open(data, reference.numel())
    grid = _Grid(bounds, bits, seed, reference.numel(), reference.device)
    message = bytearray(data)
    scale = 2.0**-bits
    values = torch.empty_like(reference)
    failed = [torch.empty(0, dtype=torch.int64)]
    for number, start in enumerate(range(0, reference.numel(), CHUNK)):
        rows = as_blocks(reference[start : start + CHUNK], BLOCK)
        piece = grid.piece(number, rows)
        wire = grid.wire(message, number, len(rows)).to(reference.device)
        sums = wire[: 2 * len(rows)].view(-1, 2).int()
        remainders = planes.unpack(wire[2 * len(rows) :], bits, len(rows)).float()
        # Counted in 2^bits steps; these products with powers of two are exact, fused or not.
        turns = rows.mul(piece.inverse * scale).sub_(piece.offsets, alpha=scale)
        turns.clamp_(-LARGEST_INDEX, LARGEST_INDEX).sub_(remainders, alpha=scale).round_()
        indices = remainders.add_(turns, alpha=1 / scale)
        wrong = _checksums(indices.to(torch.int32), piece.weights) != sums[:, 0] + sums[:, 1] * 256
        decoded = indices.add_(piece.offsets).mul_(piece.steps)
        numbers = wrong.nonzero().view(-1)
        decoded[numbers] = rows[numbers]
        values[start : start + CHUNK] = decoded.view(-1)[: reference.numel() - start]
        failed.append(numbers.cpu() + number * _BLOCKS)
    return values, torch.cat(failed)


class _Piece(NamedTuple):
    """The grid of a chunk: point q of a value lies at (q + offset)·step.

    Attributes:
        offsets: of [-1/2, 1/2], float32, in the shape of the chunk's rows.
        weights: of the checksum, int32, in that shape.
        steps: float32 (rows, 1).
        inverse: 1 / steps.
    """

    offsets: Tensor
    weights: Tensor
    steps: Tensor
    inverse: Tensor


class _Grid:
    """The quantiser of one message: its steps and offsets, and where its bytes are."""

    def __init__(self, bounds: Bounds, bits: int, seed: int, values: int, device: torch.device) -> None:
        if not 1 <= bits <= MOST_BITS:
            raise CodecError(f"modulo takes 1 to {MOST_BITS} bits a value, not {bits}")
        if bounds.blocks != modulo_blocks(values):
            raise CodecError(
                f"{values} values are {modulo_blocks(values)} blocks; the bounds have {bounds.blocks}"
            )
        self._bits = bits
        self._steps = bounds.steps(bits).to(device)[:, None]
        self._dither = Dither(seed, bounds.blocks * BLOCK, device)

    def piece(self, number: int, rows: Tensor) -> _Piece:
        """Return the grid of a chunk."""
        offsets = uniform(self._dither.words(number, rows.numel())).view_as(rows)
        weights = self._dither.weights[: rows.numel()].view_as(rows)
        steps = self._steps[number * _BLOCKS : number * _BLOCKS + len(rows)]
        return _Piece(offsets, weights, steps, steps.reciprocal())

    def wire(self, message: bytearray, number: int, blocks: int) -> Tensor:
        """Return the bytes of a chunk, uint8 on the host."""
        of_block = 2 + self._bits * BLOCK // 8
        start = MODULO_HEADER + number * _BLOCKS * of_block
        return torch.frombuffer(message, dtype=torch.uint8, offset=start, count=blocks * of_block)


def _open(data: memoryview | bytes, values: int) -> tuple[int, int]:
    """Read the header: bits and seed."""
    if len(data) < MODULO_HEADER:
        raise CodecError(f"a modulo message has at least {MODULO_HEADER} bytes; there are {len(data)}")
    bits, seed, announced = _HEADER.unpack_from(bytes(data[:MODULO_HEADER]))
    if announced != values or not 1 <= bits <= MOST_BITS or len(data) != modulo_size(values, bits):
        raise CodecError(
            f"a modulo message of {announced} values at {bits} bits, of {len(data)} bytes, "
            f"does not hold {values} values"
        )
    return bits, seed


def _limit(indices: Tensor) -> Tensor:
    """Clamp rows in place that reach beyond the largest index; tell which those are."""
    low, high = indices.aminmax()
    if float(high) <= LARGEST_INDEX and float(low) >= -LARGEST_INDEX:
        return torch.zeros(len(indices), dtype=torch.bool, device=indices.device)
    beyond = torch.maximum(indices.amax(dim=1), indices.amin(dim=1).neg_()) > LARGEST_INDEX
    indices.clamp_(-LARGEST_INDEX, LARGEST_INDEX)
    return beyond


def _checksums(indices: Tensor, weights: Tensor) -> Tensor:
    """Fold each row of int32 to 16 bits, never `_NOT_CODED`: a weighted sum modulo 2^32."""
    sums = (indices * weights).sum(dim=1, dtype=torch.int32)
    return (sums ^ sums >> 16).bitwise_and_(0xFFFF).clamp_(max=_NOT_CODED - 1)
