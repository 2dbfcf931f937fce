import struct

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from peer.codec.base import CodecError
from peer.codec.ecsq import SMALLEST_RMS, Ecsq
from peer.codec.formats import ECSQ
from peer.codec.squeeze import Reader
from tests.peer.codec.tensors import tensors


def raw_frame(step: bytes, packed: bytes) -> bytes:
    return struct.pack("<I", 514) + step + packed


@given(tensors(st.integers(1, 2500)), st.sampled_from([0.1, 0.5, 1.0]))
def test_every_value_against_numpy(tensor: torch.Tensor, step: float) -> None:
    tensor = tensor.clamp(-Ecsq.largest, Ecsq.largest)
    decoded = Ecsq().decode(Ecsq(step).encode(tensor), tensor.numel()).numpy().astype(np.float64)
    values = tensor.numpy().astype(np.float64)
    for start in range(0, len(values), 1024):
        block = np.zeros(1024)
        block[: len(values[start : start + 1024])] = values[start : start + 1024]
        exact = step * np.sqrt((block**2).mean())
        found = decoded[start : start + 1024]
        if exact < step * SMALLEST_RMS * 0.99:
            assert not found.any()
        elif exact > step * SMALLEST_RMS * 1.01:
            near = np.abs(block[: len(found)]) < 7.4 * exact
            assert (np.abs(found - block[: len(found)])[near] <= exact * 0.51).all()
            assert (np.abs(found) <= 7 * exact * 1.01).all()


def test_the_bytes_by_hand() -> None:
    """First half of the block low, second half high; the step is a power of two."""
    tensor = torch.zeros(1024)
    tensor[0], tensor[1], tensor[512] = 32.0, -32.0, 0.0  # RMS: sqrt(2048 / 1024)
    tensor[2:] = 0.0
    tensor[:2] /= 2**0.5  # RMS 1, step 1/2: both are clamped
    data = Reader(Ecsq().encode(tensor)).frame(514, 514)
    assert bytes(data[:2]) == struct.pack("<f", 0.5)[2:]
    assert bytes(data[2:6]) == bytes([0x8F, 0x81, 0x88, 0x88])


def test_a_gaussian_takes_three_bits() -> None:
    tensor = torch.randn(1 << 18, generator=torch.Generator().manual_seed(1))
    rates = {step: 8 * len(Ecsq(step).encode(tensor)) / tensor.numel() for step in (0.5, 0.7, 1.0)}
    assert rates == pytest.approx({0.5: 3.12, 0.7: 2.65, 1.0: 2.16}, abs=0.02)


def test_zeros_cost_nothing() -> None:
    data = Ecsq().encode(torch.zeros(1 << 18))
    assert len(data) < 100
    assert not Ecsq().decode(data, 1 << 18).any()


def test_the_largest_block_does_not_overflow() -> None:
    tensor = torch.full((1024,), Ecsq.largest)
    assert torch.allclose(Ecsq().decode(Ecsq().encode(tensor), 1024), tensor, rtol=0.01)


@pytest.mark.parametrize("step", [b"\x80\x7f", b"\xc0\x7f", b"\x80\xbf", b"\x7f\x7f"])
def test_a_step_of_no_use_is_refused(step: bytes) -> None:
    with pytest.raises(CodecError, match="an ecsq step is negative, too large or not finite"):
        Ecsq().decode(raw_frame(step, bytes(512)), 5)


@given(st.binary(min_size=512, max_size=512), st.integers(0, 0x5C80))
def test_any_symbols_decode(packed: bytes, step: int) -> None:
    decoded = Ecsq().decode(raw_frame(struct.pack("<H", step), packed), 1024)
    assert bool(decoded.isfinite().all())


def test_what_follows_the_last_chunk_is_refused() -> None:
    data = Ecsq().encode(torch.ones(10))
    with pytest.raises(CodecError, match="1 bytes are left after 10 values"):
        Ecsq().decode(data + b"x", 10)
    assert len(data) <= ECSQ.encoded_size(10)


@pytest.mark.parametrize("step", [0.0, 0.04, 4.1, float("nan")])
def test_a_step_of_no_sense_is_refused(step: float) -> None:
    with pytest.raises(ValueError, match=r"must be in \[0.05, 4\]"):
        Ecsq(step)
