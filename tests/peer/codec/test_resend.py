import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from peer.codec.base import CodecError
from peer.codec.formats import blocks_size, failed_size
from peer.codec.resend import decode_blocks, encode_blocks, pack_failed, patch, unpack_failed


@st.composite
def failures(draw: st.DrawFn) -> tuple[int, torch.Tensor]:
    values = draw(st.integers(0, 40_000))
    blocks = -(-values // 1024)
    numbers = draw(st.sets(st.integers(0, blocks - 1))) if blocks else set()
    return values, torch.tensor(sorted(numbers), dtype=torch.int64)


@given(failures())
def test_the_list_comes_back(failure: tuple[int, torch.Tensor]) -> None:
    values, failed = failure
    data = pack_failed(failed, values)
    assert len(data) == failed_size(values)
    assert torch.equal(unpack_failed(data, values), failed)


def test_the_list_by_hand() -> None:
    assert pack_failed(torch.tensor([0, 3, 9]), 12 * 1024) == bytes([0b1001, 0b10])


@given(st.binary(max_size=4), st.integers(0, 40_000))
def test_any_list_is_of_blocks_that_are_there_or_refused(data: bytes, values: int) -> None:
    try:
        failed = unpack_failed(data, values)
    except CodecError:
        return
    assert pack_failed(failed, values) == data
    assert all(0 <= number < -(-values // 1024) for number in failed.tolist())


@given(failures(), st.integers(0, 2**32 - 1))
def test_both_sides_have_the_exact_values_afterwards(failure: tuple[int, torch.Tensor], seed: int) -> None:
    values, failed = failure
    x = torch.randn(values, generator=torch.Generator().manual_seed(seed))
    data = encode_blocks(x, failed)
    assert len(data) == blocks_size(values, failed.numel())
    theirs, ours = torch.zeros(values), torch.zeros(values)
    decode_blocks(data, failed, theirs)
    patch(ours, x, failed)
    again = torch.zeros(values, dtype=torch.bool)
    for number in failed.tolist():
        again[1024 * number : 1024 * (number + 1)] = True
    assert torch.equal(theirs, x * again)
    assert torch.equal(ours, theirs)


def test_a_wrong_length_is_refused() -> None:
    with pytest.raises(CodecError, match="2 blocks take 8192 bytes; there are 4096"):
        decode_blocks(bytes(4096), torch.tensor([0, 1]), torch.zeros(3000))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_refused_both_ways(value: float) -> None:
    x, out = torch.zeros(1024), torch.ones(1024)
    x[77] = value
    with pytest.raises(CodecError, match="index 77"):
        encode_blocks(x, torch.tensor([0]))
    with pytest.raises(CodecError, match="not finite"):
        decode_blocks(x.numpy().tobytes(), torch.tensor([0]), out)
    assert bool((out == 1).all())
