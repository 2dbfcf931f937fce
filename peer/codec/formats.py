"""What each codec's bytes look like from outside: enough to bound them, without torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

CHUNK = 256 * 1024
"""Values coded at a time: 1 MiB of float32."""

Reference = Literal["none", "phi", "receiver"]
"""What a codec codes against.

`none`: nothing, so it carries any tensor. `phi`: it is coarse, and made for a difference against values
that both sides hold already (a pseudo-gradient against the same φ); the caller subtracts and adds.
`receiver`: the receiver's own values, which must be near.
"""


@dataclass(frozen=True, slots=True)
class Format:
    """What a codec's bytes look like from outside.

    Attributes:
        name: what peers call the codec in offers and manifests.
        value_bytes: bytes for each value.
        block: values in a block, the last of which may be short.
        block_bytes: bytes for each block.
        chunk_bytes: bytes for each chunk of `CHUNK` values, the last of which may be short.
        fixed_bytes: bytes for the whole.
        exact_size: whether every encoding has exactly `encoded_size` bytes; else it may have fewer.
        reference: what the values are coded against.
    """

    name: str
    value_bytes: int = 0
    block: int = 1024
    block_bytes: int = 0
    chunk_bytes: int = 0
    fixed_bytes: int = 0
    exact_size: bool = True
    reference: Reference = "none"

    def encoded_size(self, values: int) -> int:
        """Return the most bytes that so many values take; a receiver bounds its allocation with it."""
        blocks, chunks = -(-values // self.block), -(-values // CHUNK)
        of_values = self.value_bytes * values + self.block_bytes * blocks
        return of_values + self.chunk_bytes * chunks + self.fixed_bytes


FRAME_BYTES = 4
"""The length before what zstd may have shrunk."""

KEPT = 64
"""`topk` keeps one value in so many: 64 in a block of 4,096."""

MODULO_BLOCK = 1024
"""Values of `modulo` that share a bound and a checksum."""

MODULO_HEADER = 17
"""Bytes before `modulo`'s first chunk: bits, seed, values."""

FP32 = Format("fp32", value_bytes=4)
BF16 = Format("bf16", value_bytes=2)
INT8 = Format("int8", value_bytes=1, block=256, block_bytes=2)
E3M0 = Format("e3m0", block=256, block_bytes=2 + 128, reference="phi")
ECSQ = Format("ecsq", block_bytes=2 + 512, chunk_bytes=FRAME_BYTES, exact_size=False, reference="phi")
TOPK = Format(
    "topk",
    block=4096,
    block_bytes=4 + KEPT + KEPT // 4,
    chunk_bytes=FRAME_BYTES + CHUNK // 255 + 1,  # a gap above 254 takes a byte for every 255
    exact_size=False,
    reference="phi",
)
MODULO = Format(
    "modulo",
    block=MODULO_BLOCK,
    block_bytes=2 + MODULO_BLOCK,  # at 8 bits a value
    fixed_bytes=MODULO_HEADER,
    exact_size=False,
    reference="receiver",
)

FORMATS: Mapping[str, Format] = {known.name: known for known in (FP32, BF16, INT8, ECSQ, E3M0, TOPK, MODULO)}
"""By name, the exact one first."""


def modulo_blocks(values: int) -> int:
    """Return the blocks of so many values."""
    return -(-values // MODULO_BLOCK)


def modulo_size(values: int, bits: int) -> int:
    """Return the bytes of so many values at so many bits, exactly."""
    return MODULO_HEADER + modulo_blocks(values) * (2 + bits * MODULO_BLOCK // 8)


def bounds_size(values: int) -> int:
    """Return the bytes of the bounds of so many values, exactly."""
    return 1 + modulo_blocks(values)


def failed_size(values: int) -> int:
    """Return the bytes of the list of failed blocks, exactly: a bit a block."""
    return -(-modulo_blocks(values) // 8)


def blocks_size(values: int, count: int) -> int:
    """Return the bytes of so many re-sent blocks, exactly; never more than all blocks take."""
    return 4 * MODULO_BLOCK * min(count, modulo_blocks(values))
