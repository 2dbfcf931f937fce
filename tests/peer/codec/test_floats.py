import struct

import numpy as np
import pytest
import torch
from hypothesis import given

from peer.codec.base import CodecError
from peer.codec.floats import Bf16, Fp32
from tests.peer.codec.tensors import tensors


@given(tensors())
def test_fp32_is_exact_to_the_bit(tensor: torch.Tensor) -> None:
    decoded = Fp32().decode(Fp32().encode(tensor), tensor.numel())
    assert torch.equal(decoded.view(torch.int32), tensor.view(torch.int32))


def test_fp32_is_little_endian() -> None:
    assert Fp32().encode(torch.tensor([1.0, -2.5])) == struct.pack("<2f", 1.0, -2.5)


def test_fp32_carries_the_largest_value_and_minus_zero() -> None:
    extremes = torch.tensor([torch.finfo(torch.float32).max, -0.0, 2.0**-149])
    assert Fp32().encode(extremes) == extremes.numpy().tobytes()


@given(tensors())
def test_bf16_rounds_to_nearest_ties_to_even(tensor: torch.Tensor) -> None:
    bits = tensor.numpy().view(np.uint32).astype(np.uint64)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
    assert Bf16().encode(tensor) == rounded.astype("<u2").tobytes()


def test_bf16_refuses_what_it_would_round_to_infinity() -> None:
    largest = torch.finfo(torch.bfloat16).max
    Bf16().encode(torch.tensor([largest, -largest]))
    with pytest.raises(CodecError, match=r"3.4\d*e\+38 at index 1 is beyond bf16"):
        Bf16().encode(torch.tensor([1.0, torch.finfo(torch.float32).max]))


@pytest.mark.parametrize(
    ("codec", "data"),
    [
        (Fp32(), b"\x00\x00\x80\x7f"),
        (Fp32(), b"\x01\x00\x80\xff"),
        (Bf16(), b"\x80\x7f"),
        (Bf16(), b"\xc0\xff"),
    ],
)
def test_what_is_not_finite_is_refused(codec: Fp32 | Bf16, data: bytes) -> None:
    with pytest.raises(CodecError, match="not finite"):
        codec.decode(data, 1)
