import struct

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from peer.codec.base import CodecError
from peer.codec.int8 import SMALLEST_SCALE, Int8
from tests.peer.codec.tensors import tensors


def bf16(value: float) -> bytes:
    """The nearest bfloat16, for a value that is one."""
    return struct.pack("<f", value)[2:]


def test_the_bytes_by_hand() -> None:
    """Scales of both blocks first, then the values; the last block is short."""
    tensor = torch.zeros(258)
    tensor[:4] = torch.tensor([127.0, -127.0, 1.4, -2.6])
    tensor[256:] = torch.tensor([0.25 * 127, -1.0])
    codes = [127, -127, 1, -3] + [0] * 252 + [127, -4]
    expected = bf16(1.0) + bf16(0.25) + struct.pack("258b", *codes)
    assert Int8().encode(tensor) == expected


def test_ties_go_to_even() -> None:
    data = Int8().encode(torch.tensor([127.0, 0.5, 1.5, 2.5, -0.5, -1.5]))
    assert struct.unpack("6b", data[2:]) == (127, 0, 2, 2, 0, -2)


@given(tensors(st.integers(1, 600)))
def test_every_byte_against_numpy(tensor: torch.Tensor) -> None:
    values = tensor.numpy()
    scales, codes = b"", b""
    for start in range(0, len(values), 256):
        block = values[start : start + 256]
        exact = np.abs(block).max() / np.float32(127)
        scale = torch.tensor(exact).to(torch.bfloat16)
        if scale < SMALLEST_SCALE:
            scale, block = torch.zeros_like(scale), np.zeros_like(block)
        scales += bf16(scale.item())
        codes += np.rint(block / np.float32(scale.item() or 1)).astype(np.int8).tobytes()
    assert Int8().encode(tensor) == scales + codes


def test_zeros_stay_zeros() -> None:
    assert Int8().encode(torch.zeros(300)) == bytes(304)
    assert not Int8().decode(bytes(304), 300).any()


def test_a_block_too_small_for_a_normal_scale_becomes_zeros_and_its_neighbour_not() -> None:
    small, normal = 126 * SMALLEST_SCALE, 127 * SMALLEST_SCALE
    tensor = torch.tensor([small] * 256 + [normal] * 256)
    decoded = Int8().decode(Int8().encode(tensor), 512)
    assert not decoded[:256].any()
    assert torch.equal(decoded[256:], tensor[256:])


@pytest.mark.parametrize("sign", [1, -1])
def test_the_largest_float_does_not_overflow(sign: int) -> None:
    largest = torch.finfo(torch.float32).max
    decoded = Int8().decode(Int8().encode(torch.tensor([sign * largest, 1.0])), 2)
    assert decoded[0].item() == pytest.approx(sign * largest, rel=1 / 254)


@given(st.integers(1, 127), st.integers(-126, 120), st.integers(128, 255))
def test_any_scale_keeps_its_codes(code: int, exponent: int, significand: int) -> None:
    """The proof of the module's docstring, tried on every kind of scale."""
    scale = significand / 128 * 2.0**exponent
    data = bf16(scale) + struct.pack("2b", 127, code)
    decoded = Int8().decode(data, 2)
    assert decoded.double().tolist() == [127 * scale, code * scale]
    assert Int8().encode(decoded) == data


@pytest.mark.parametrize("scale", [b"\x80\x7f", b"\x80\xff", b"\xc0\x7f"], ids=["inf", "-inf", "nan"])
@pytest.mark.parametrize("code", [0, 1, -128])
def test_a_scale_that_is_not_finite_is_refused(scale: bytes, code: int) -> None:
    with pytest.raises(CodecError, match="not finite"):
        Int8().decode(scale + struct.pack("b", code), 1)


def test_a_scale_that_overflows_is_refused() -> None:
    with pytest.raises(CodecError, match="not finite"):
        Int8().decode(b"\x7f\x7f" + struct.pack("b", 2), 1)
