"""What each codec's bytes look like from outside: enough to bound them, without torch."""

from collections.abc import Mapping
from dataclasses import dataclass

BLOCK = 256
"""Values that share a scale."""


@dataclass(frozen=True, slots=True)
class Format:
    """What a codec's bytes look like from outside.

    Attributes:
        name: what peers call the codec in offers and manifests.
        value_bytes: bytes for each value.
        scale_bytes: bytes for each block of `BLOCK` values, the last of which may be short.
    """

    name: str
    value_bytes: int
    scale_bytes: int = 0

    def encoded_size(self, values: int) -> int:
        """Return the bytes that encode so many values; a receiver bounds its allocation with it."""
        return self.value_bytes * values + self.scale_bytes * -(-values // BLOCK)


FP32 = Format("fp32", value_bytes=4)
BF16 = Format("bf16", value_bytes=2)
INT8 = Format("int8", value_bytes=1, scale_bytes=2)

FORMATS: Mapping[str, Format] = {known.name: known for known in (FP32, BF16, INT8)}
"""By name, the exact one first."""
