import struct

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from peer.codec.base import CodecError
from peer.codec.e3m0 import SMALLEST_SCALE, E3m0
from tests.peer.codec.tensors import tensors


def test_the_bytes_by_hand() -> None:
    tensor = torch.zeros(256)
    tensor[:6] = torch.tensor([4.0, -2.0, 1.4, -3.0, 4 / 128, 4 / 129])
    tensor[128:130] = torch.tensor([-4.0, 0.1])
    data = E3m0().encode(tensor)
    assert data[:2] == struct.pack("<f", 4.0)[2:]
    assert data[2:8] == bytes([0xF7, 0x2E, 0x05, 0x0F, 0x01, 0x00])
    assert not any(data[8:])
    assert E3m0().decode(data, 256)[:6].tolist() == [4, -2, 1, -4, 4 / 64, 0]


@given(tensors(st.integers(1, 256)))
def test_every_value_is_the_nearest_level(tensor: torch.Tensor) -> None:
    decoded = E3m0().decode(E3m0().encode(tensor), tensor.numel()).double().numpy()
    scale = float(tensor.abs().max().to(torch.bfloat16))
    if scale < SMALLEST_SCALE:
        assert not decoded.any()
        return
    levels = np.array([0.0, *(scale * 2.0**-place for place in range(7))])
    levels = np.concatenate((levels, -levels))
    apart = np.abs(tensor.double().numpy()[:, None] - levels)
    assert np.abs(decoded - tensor.double().numpy()) == pytest.approx(apart.min(axis=1), rel=1e-6)


@pytest.mark.parametrize("scale", [b"\x80\x7f", b"\x80\xff", b"\xc0\x7f"], ids=["inf", "-inf", "nan"])
def test_a_scale_that_is_not_finite_is_refused(scale: bytes) -> None:
    with pytest.raises(CodecError, match="not finite"):
        E3m0().decode(scale + bytes(128), 3)
