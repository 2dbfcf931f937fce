import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from peer.codec import planes


@given(st.integers(1, 8), st.integers(1, 5), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_the_low_bits_come_back(bits: int, rows: int, eighths: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    indices = torch.from_numpy(generator.integers(-(2**20), 2**20, (rows, 8 * eighths)).astype(np.int32))
    packed = torch.zeros(rows * eighths * bits, dtype=torch.uint8)
    planes.pack(indices, bits, packed)
    assert torch.equal(planes.unpack(packed, bits, rows).int(), indices % 2**bits)


@pytest.mark.parametrize(
    ("bits", "expected"),
    [
        (1, [0b10101010]),
        (2, [0b11_10_01_00, 0b11_10_01_00]),
        (3, [0b11_10_01_00, 0b11_10_01_00, 0b11110000]),
        (4, [0x40, 0x51, 0x62, 0x73]),
        (8, [0, 1, 2, 3, 4, 5, 6, 7]),
    ],
)
def test_the_bytes_by_hand(bits: int, expected: list[int]) -> None:
    """The numbers 0 to 7, whose parts lie above each other in a byte."""
    packed = torch.zeros(bits, dtype=torch.uint8)
    planes.pack(torch.arange(8, dtype=torch.int32)[None], bits, packed)
    if bits in (2, 3):  # parts of two: 0 1, 2 3, 4 5, 6 7
        expected[:2] = [0b10_00_10_00, 0b11_01_11_01]
    assert packed.tolist() == expected
