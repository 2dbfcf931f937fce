import math
import struct

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from peer.codec.base import CodecError
from peer.codec.bounds import DECAY, FLOOR, GROWTH, HIGHEST, LEAST, MOST, Bounds
from peer.codec.formats import CHUNK, bounds_size
from peer.codec.modulo import decode, encode
from peer.codec.resend import decode_blocks, encode_blocks
from tests.peer.codec.tensors import tensors

LENGTHS = st.integers(0, 5000)


def blocks_of(tensor: torch.Tensor) -> list[torch.Tensor]:
    return list(torch.split(tensor, 1024)) if tensor.numel() else []


@given(tensors(LENGTHS), st.integers(0, 2**32 - 1), st.sampled_from([1.0, 1.5, 3.0]))
def test_a_bound_is_a_little_more_than_the_distance(tensor: torch.Tensor, seed: int, safety: float) -> None:
    own = tensor.clamp(-(2.0**90), 2.0**90)
    other = own * (1 + torch.randn(own.shape, generator=torch.Generator().manual_seed(seed)) / 16)
    bounds = Bounds.from_distance(own, other, safety=safety)
    lowest = float(bounds.largest().min()) if bounds.blocks else 0.0
    for bound, mine, theirs in zip(bounds.largest(), blocks_of(own), blocks_of(other), strict=True):
        wanted = max(GROWTH * safety * float((mine - theirs).abs().max()), FLOOR * float(mine.abs().max()))
        assert wanted * (1 - 1e-6) <= float(bound) <= max(wanted * 1.093, lowest * 1.001)


@given(st.floats(0, 1e38), st.integers(0, 4000))
def test_uniform_covers_what_it_is_told(largest: float, values: int) -> None:
    bounds = Bounds.uniform(values, largest)
    assert bounds.blocks == -(-values // 1024)
    assert all(min(largest, HIGHEST) * (1 - 1e-6) <= bound for bound in bounds.largest().tolist())
    assert bool((bounds.steps(8) >= torch.finfo(torch.float32).tiny).all())


@given(tensors(LENGTHS))
def test_bytes_come_back(tensor: torch.Tensor) -> None:
    bounds = Bounds.from_distance(tensor, -tensor / 2)
    data = bounds.to_bytes()
    assert len(data) == bounds_size(tensor.numel())
    again = Bounds.from_bytes(memoryview(data), tensor.numel())
    assert again.base == bounds.base
    assert torch.equal(again.codes, bounds.codes)


def test_the_grid_by_hand() -> None:
    bounds = Bounds.from_bytes(struct.pack("<b5B", -3, 0, 7, 8, 9, 255), 5 * 1024)
    expected = [2**-3, 470 / 256 / 8, 0.25, 0.25 * 279 / 256, 2.0**28 * 470 / 256]
    assert bounds.largest().tolist() == expected
    assert bounds.steps(2).tolist() == pytest.approx([2 * bound / (3 - 1 / 16) for bound in expected])


@given(st.binary(min_size=3, max_size=3), st.integers(1, 8))
def test_any_bytes_give_steps_of_use_or_are_refused(data: bytes, bits: int) -> None:
    try:
        bounds = Bounds.from_bytes(data, 1025)
    except CodecError:
        assert not LEAST <= struct.unpack_from("<b", data)[0] <= MOST
        return
    steps = bounds.steps(bits)
    assert bool((steps.isfinite() & (steps >= torch.finfo(torch.float32).tiny)).all())


@pytest.mark.parametrize("size", [0, 1, 2, 4])
def test_another_length_is_refused(size: int) -> None:
    with pytest.raises(CodecError, match=f"bounds of 1025 values take 3 bytes; there are {size}"):
        Bounds.from_bytes(bytes(size), 1025)


def test_the_running_maximum_falls_slowly() -> None:
    near, far = torch.zeros(2048), torch.zeros(2048)
    far[5] = 1.0
    first = Bounds.from_distance(near, far)
    assert 1 <= float(first.largest()[0]) / (GROWTH * 1.5) <= 1.093
    second = Bounds.from_distance(near, far / 1000, first)
    third = Bounds.from_distance(near, far / 1000, second)
    assert DECAY <= float(second.largest()[0] / first.largest()[0]) <= DECAY * 1.093
    assert DECAY**2 <= float(third.largest()[0] / first.largest()[0]) <= (DECAY * 1.093) ** 2
    assert float(Bounds.from_distance(near, far * 9, third).largest()[0]) >= 13.5


def test_a_bound_never_freezes_at_the_default_decay() -> None:
    bounds = Bounds.uniform(1024, 1.0)
    for _ in range(40):
        bounds = Bounds.from_distance(torch.zeros(1024), torch.full((1024,), 1e-3), bounds)
    assert float(bounds.largest()[0]) == pytest.approx(1.5e-3, rel=0.09)


def test_chunks_meet_without_a_seam() -> None:
    own, other = torch.zeros(CHUNK + 10), torch.zeros(CHUNK + 10)
    other[CHUNK - 1], other[CHUNK + 9] = 1.0, 2.0
    last_of_chunk, last = Bounds.from_distance(own, other).largest()[-2:].tolist()
    assert 1 <= last_of_chunk / (GROWTH * 1.5) <= 1.093
    assert 1 <= last / (GROWTH * 3.0) <= 1.093


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("values", [3072, 2500])
def test_the_error_of_the_rounding_does_not_widen_the_bounds(bits: int, values: int) -> None:
    """Partners at an unchanging distance, whose largest in a block is from 2.8 to 4.6."""
    generator = torch.Generator().manual_seed(bits)
    own = torch.zeros(values)
    bounds = Bounds.uniform(values, 8.0)
    for seed in range(25):
        theirs = torch.randn(values, generator=generator)
        values_there, failed = decode(encode(theirs, bounds, bits, seed).data, own, bounds)
        decode_blocks(encode_blocks(theirs, failed), failed, values_there)
        bounds = Bounds.from_distance(own, values_there, bounds, bits=bits)
        if seed > 5:
            assert all(4.0 <= bound <= 8.5 for bound in bounds.largest().tolist())


def test_a_block_that_was_sent_again_counts_in_full() -> None:
    own, other = torch.zeros(1024), torch.zeros(1024)
    other[3] = 100.0
    bounds = Bounds.from_distance(own, other, Bounds.uniform(1024, 1.0), bits=1)
    assert 150 <= float(bounds.largest()[0]) <= 164


def test_a_distance_beyond_float32_is_the_highest_bound() -> None:
    largest = torch.full((3,), torch.finfo(torch.float32).max)
    bounds = Bounds.from_distance(largest, -largest)
    assert float(bounds.largest()[0]) == pytest.approx(HIGHEST)
    assert float(Bounds.from_distance(largest, -largest, bounds, bits=1).largest()[0]) == pytest.approx(
        HIGHEST
    )


@pytest.mark.parametrize(
    ("own", "other", "previous"), [(3, 4, None), (3, 3, 2000)], ids=["the two", "the previous bounds"]
)
def test_lengths_that_do_not_fit_are_refused(own: int, other: int, previous: int | None) -> None:
    before = None if previous is None else Bounds.uniform(previous, 1.0)
    with pytest.raises(CodecError, match="do not fit together"):
        Bounds.from_distance(torch.zeros(own), torch.zeros(other), before)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_finite_is_refused(value: float) -> None:
    with pytest.raises(CodecError, match="index 1"):
        Bounds.from_distance(torch.zeros(2), torch.tensor([0, value]))
    with pytest.raises(CodecError, match="of no use"):
        Bounds.uniform(2, value)
