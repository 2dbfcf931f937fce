import math
import struct

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from peer.codec.base import CodecError
from peer.codec.bounds import GROWTH
from peer.codec.dither import Dither
from peer.codec.formats import CHUNK, modulo_size
from peer.codec.modulo import Bounds, decode, decode_blocks, encode, encode_blocks, patch
from tests.peer.codec.tensors import damage, tensors

bits_of_a_value = st.integers(1, 8)
seeds = st.integers(0, 2**64 - 1)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[torch.Tensor, torch.Tensor]:
    """The sender's values and the receiver's, apart by anything from nothing to twice themselves."""
    x = draw(tensors(st.one_of(st.integers(0, 5000), st.just(1024)))).clamp(-(2.0**90), 2.0**90)
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    apart = draw(st.sampled_from([0.0, 1e-8, 1e-3, 0.1, 2.0]))
    noise = torch.from_numpy(generator.uniform(-1, 1, x.numel()).astype(np.float32))
    shift = apart * (float(x.abs().max()) if x.numel() else 0.0)
    return x, x + noise * (shift if draw(st.booleans()) else apart * x)


@given(pairs(), bits_of_a_value, seeds)
def test_what_lies_within_the_bounds_decodes_right(
    pair: tuple[torch.Tensor, torch.Tensor], bits: int, seed: int
) -> None:
    x, y = pair
    bounds = Bounds.from_distance(y, x, safety=1 / GROWTH)  # the distance itself
    encoded = encode(x, bounds, bits, seed)
    assert len(encoded.data) == modulo_size(x.numel(), bits)
    values, failed = decode(encoded.data, y, bounds)
    assert failed.tolist() == []
    assert torch.equal(values.view(torch.int32), encoded.values.view(torch.int32))
    bound = bounds.largest().double().repeat_interleave(1024)[: x.numel()]
    assert bool(((values.double() - x.double()).abs() <= 1.1 * bound / (2**bits - 1)).all())


@settings(derandomize=True)  # one wrong block in 65,536 passes for right
@given(st.integers(1, 6000), st.floats(3.3, 1e9), bits_of_a_value, seeds, st.data())
def test_what_lies_beyond_is_found_and_mended(
    length: int, times: float, bits: int, seed: int, data: st.DataObject
) -> None:
    """One value of a block, or all of them, so far beyond the bound that no rounding helps."""
    y = torch.randn(length, generator=torch.Generator().manual_seed(seed % 1000))
    bounds = Bounds.uniform(length, 0.1)
    x = y.clone()
    blocks = data.draw(st.sets(st.integers(0, (length - 1) // 1024), min_size=1))
    for block in blocks:
        part = x[1024 * block : 1024 * (block + 1)]
        many = data.draw(st.sampled_from([1, len(part)]))
        part[:many] += times * 0.11
    encoded = encode(x, bounds, bits, seed)
    values, failed = decode(encoded.data, y, bounds)
    assert set(failed.tolist()) == blocks
    for block in blocks:
        piece = slice(1024 * block, 1024 * (block + 1))
        assert torch.equal(values[piece], y[piece])
    decode_blocks(encode_blocks(x, failed), failed, values)
    patch(encoded.values, x, failed)
    assert torch.equal(values, encoded.values)
    assert all(torch.equal(part, whole) for part, whole in _at(blocks, values, x))


def _at(blocks: set[int], *two: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
    pieces = [slice(1024 * block, 1024 * (block + 1)) for block in blocks]
    return [(two[0][piece], two[1][piece]) for piece in pieces]


@given(pairs(), bits_of_a_value, seeds)
def test_the_corrections_of_a_pair_are_exactly_opposite(
    pair: tuple[torch.Tensor, torch.Tensor], bits: int, seed: int
) -> None:
    """Each side uses its own values as the other decodes them, so that their sum is kept."""
    mine, theirs = pair
    of_mine = Bounds.from_distance(mine, theirs)
    of_theirs = Bounds.from_distance(theirs, mine)
    sent, answered = encode(mine, of_theirs, bits, seed), encode(theirs, of_mine, bits, seed ^ 1)
    read_there, failed_there = decode(sent.data, theirs, of_theirs)
    read_here, failed_here = decode(answered.data, mine, of_mine)
    assert failed_here.numel() == failed_there.numel() == 0
    here = (read_here - sent.values) / 2
    there = (read_there - answered.values) / 2
    assert torch.equal(here, -there)


@given(bits_of_a_value, seeds, st.floats(0.001, 1000))
def test_the_error_is_uniform_and_has_no_mean(bits: int, seed: int, scale: float) -> None:
    """Even for values that are all the same; without dither all of them would err alike."""
    x = torch.full((1 << 15,), 0.377 * scale)
    bounds = Bounds.uniform(x.numel(), scale)
    error = (encode(x, bounds, bits, seed).values - x).double() / bounds.steps(bits)[0].double()
    assert float(error.abs().max()) <= 0.501
    assert abs(float(error.mean())) < 6 * (1 / 12) ** 0.5 / 2**7.5
    assert float(error.var()) == pytest.approx(1 / 12, rel=0.1)


@pytest.mark.parametrize("bits", range(1, 9))
def test_the_bytes_against_numpy(bits: int) -> None:
    """Indices in float64, remainders and checksums in unsigned integers."""
    length, seed = CHUNK + 1500, 77
    x = torch.randn(length, generator=torch.Generator().manual_seed(bits))
    bounds = Bounds.uniform(length, 0.5)
    encoded = encode(x, bounds, bits, seed)
    assert encoded.data[:17] == struct.pack("<BQQ", bits, seed, length)
    dither, step, at = Dither(seed, CHUNK, torch.device("cpu")), float(bounds.steps(bits)[0]), 17
    for chunk, blocks in ((0, 256), (1, 2)):
        words = dither.words(chunk, blocks * 1024).numpy().astype(np.int64).reshape(-1, 1024)
        values = np.zeros(blocks * 1024)
        part = x[CHUNK * chunk : CHUNK * (chunk + 1)].numpy()
        values[: len(part)] = part
        exact = values.reshape(-1, 1024) / step - words / 2**32
        indices = np.rint(exact)
        found = encoded.values[CHUNK * chunk : CHUNK * (chunk + 1)].double().numpy()
        ours = np.zeros(blocks * 1024)
        ours[: len(part)] = np.rint(found / step - words.ravel()[: len(part)] / 2**32)
        ties = np.abs(np.abs(exact - indices) - 0.5) < 1e-3
        assert (ours.reshape(-1, 1024) == indices)[~ties].all()
        indices = ours.reshape(-1, 1024).astype(np.int64)
        weights = dither.weights[: blocks * 1024].numpy().astype(np.int64).reshape(-1, 1024)
        sums = (indices * weights).sum(axis=1) % 2**32
        folded = np.minimum((sums ^ sums >> 16) & 0xFFFF, 0xFFFE).astype("<u2")
        assert encoded.data[at : at + 2 * blocks] == folded.tobytes()
        at += blocks * (2 + 128 * bits)
    assert at == len(encoded.data)


def test_a_value_too_far_out_for_its_step_is_sent_again() -> None:
    x = torch.ones(3000)
    x[1500] = 3e38
    bounds = Bounds.uniform(3000, 0.01)
    encoded = encode(x, bounds, 4, 1)
    values, failed = decode(encoded.data, x, bounds)
    assert failed.tolist() == [1]
    decode_blocks(encode_blocks(x, failed), failed, values)
    assert torch.equal(values[1024:2048], x[1024:2048])


def test_replicas_that_agree_need_no_second_message() -> None:
    x = torch.randn(10_000)
    bounds = Bounds.from_distance(x, x)
    values, failed = decode(encode(x, bounds, 4, 1).data, x, bounds)
    assert failed.numel() == 0
    assert float((values - x).abs().max()) < 2**-12 * float(x.abs().max())


@given(pairs(), bits_of_a_value, seeds, st.data())
def test_damaged_bytes_stay_near_the_receiver_or_are_refused(
    pair: tuple[torch.Tensor, torch.Tensor], bits: int, seed: int, data: st.DataObject
) -> None:
    x, y = pair
    bounds = Bounds.from_distance(y, x)
    damaged = damage(encode(x, bounds, bits, seed).data, data)
    try:
        values, failed = decode(damaged, y, bounds)
    except CodecError:
        return
    assert bool((failed.diff() > 0).all())
    bound = bounds.largest().double().repeat_interleave(1024)[: x.numel()]
    assert bool(((values.double() - y.double()).abs() <= 2.2 * bound).all())


@given(st.binary(max_size=64), st.binary(min_size=4, max_size=4), bits_of_a_value, tensors())
def test_any_message_under_any_bounds_is_finite(
    noise: bytes, codes: bytes, bits: int, reference: torch.Tensor
) -> None:
    reference = reference[:3000]
    bounds = Bounds.from_bytes(
        bytes([69, *codes[:3]])[: 1 + -(-reference.numel() // 1024)], reference.numel()
    )
    size = modulo_size(reference.numel(), bits)
    header = struct.pack("<BQQ", bits, 5, reference.numel())
    values, _ = decode(
        (header + noise * (1 + size // max(1, len(noise))) + bytes(size))[:size], reference, bounds
    )
    assert bool(values.isfinite().all())


@pytest.mark.parametrize(
    "header",
    [(0, 0, 10), (9, 0, 10), (255, 0, 10), (4, 0, 11), (4, 0, 2**63), (3, 0, 10)],
    ids=str,
)
def test_another_header_is_refused(header: tuple[int, int, int]) -> None:
    data = struct.pack("<BQQ", *header) + bytes(modulo_size(10, 4) - 17)
    with pytest.raises(CodecError, match="does not hold 10 values"):
        decode(data, torch.zeros(10), Bounds.uniform(10, 1.0))


def test_a_message_without_a_header_is_refused() -> None:
    with pytest.raises(CodecError, match="at least 17 bytes; there are 3"):
        decode(b"abc", torch.zeros(10), Bounds.uniform(10, 1.0))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_finite_is_refused_both_ways(value: float) -> None:
    bounds, bad = Bounds.uniform(2, 1.0), torch.tensor([0, value])
    with pytest.raises(CodecError, match="at index 1 is beyond modulo"):
        encode(bad, bounds, 4, 0)
    with pytest.raises(CodecError, match="at index 1 is beyond modulo"):
        decode(encode(torch.zeros(2), bounds, 4, 0).data, bad, bounds)


@pytest.mark.parametrize("bits", [0, 9])
def test_a_width_that_is_none_is_refused(bits: int) -> None:
    with pytest.raises(CodecError, match=f"1 to 8 bits a value, not {bits}"):
        encode(torch.zeros(2), Bounds.uniform(2, 1.0), bits, 0)


def test_bounds_for_another_length_are_refused() -> None:
    with pytest.raises(CodecError, match="2000 values are 2 blocks; the bounds have 1"):
        encode(torch.zeros(2000), Bounds.uniform(2, 1.0), 4, 0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("bits", [1, 3, 4, 8])
def test_a_gpu_and_a_cpu_understand_each_other_to_the_bit(bits: int) -> None:
    x = torch.randn(CHUNK + 1500)
    y = x + 0.01 * torch.randn(CHUNK + 1500)
    bounds = Bounds.from_distance(y, x)
    for encoded, reference in (
        (encode(x.cuda(), bounds, bits, 5), y),
        (encode(x, bounds, bits, 5), y.cuda()),
    ):
        values, failed = decode(encoded.data, reference, bounds)
        assert failed.numel() == 0
        assert torch.equal(values.cpu(), encoded.values.cpu())
