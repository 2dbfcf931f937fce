"""What every codec promises."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from peer.codec.base import Codec, CodecError
from peer.codec.formats import CHUNK
from peer.codec.registry import get, names
from tests.peer.codec.tensors import damage, tensors

NAMES = names(["none", "phi"])
CODECS = [get(name) for name in NAMES]
EXACT = [codec for codec in CODECS if codec.format.exact_size]
each_codec = pytest.mark.parametrize("codec", CODECS, ids=NAMES)
each_exact = pytest.mark.parametrize("codec", EXACT, ids=[codec.format.name for codec in EXACT])
NOT_FINITE = [math.nan, math.inf, -math.inf]


@each_codec
@given(tensor=tensors())
def test_the_error_is_within_the_bound(codec: Codec, tensor: torch.Tensor) -> None:
    tensor = tensor.clamp(-codec.largest, codec.largest)
    decoded = codec.decode(codec.encode(tensor), tensor.numel())
    bound = codec.error_bound(tensor)
    assert decoded.shape == bound.shape == tensor.shape
    assert decoded.dtype == torch.float32
    assert bool(((decoded.double() - tensor.double()).abs() <= bound.double()).all())


@each_exact
@given(tensor=tensors())
def test_decoding_and_encoding_again_changes_no_byte(codec: Codec, tensor: torch.Tensor) -> None:
    tensor = tensor.clamp(-codec.largest, codec.largest)
    data = codec.encode(tensor)
    assert codec.encode(codec.decode(data, tensor.numel())) == data


@each_codec
@given(tensor=tensors())
def test_the_size_is_known_beforehand(codec: Codec, tensor: torch.Tensor) -> None:
    tensor = tensor.clamp(-codec.largest, codec.largest)
    size, most = len(codec.encode(tensor)), codec.format.encoded_size(tensor.numel())
    assert size == most if codec.format.exact_size else size <= most


@each_codec
@given(tensor=tensors(), spare=st.integers(0, 9))
def test_encoding_into_a_buffer_touches_only_its_start(
    codec: Codec, tensor: torch.Tensor, spare: int
) -> None:
    tensor = tensor.clamp(-codec.largest, codec.largest)
    data = codec.encode(tensor)
    rest = codec.format.encoded_size(tensor.numel()) - len(data) + spare
    buffer = bytearray(b"\xaa" * (1 + len(data) + rest))
    assert codec.encode_into(tensor, memoryview(buffer)[1:]) == len(data)  # also where unaligned
    assert bytes(buffer) == b"\xaa" + data + b"\xaa" * rest


@each_exact
@given(data=st.binary(max_size=1200), values=st.integers(0, 300))
def test_any_bytes_decode_to_finite_values_or_are_refused(codec: Codec, data: bytes, values: int) -> None:
    size = codec.format.encoded_size(values)
    data = (data * (1 + size // max(1, len(data))))[:size]
    try:
        decoded = codec.decode(data, values)
    except CodecError:
        return
    assert len(decoded) == values
    assert bool(decoded.isfinite().all())


@each_exact
@given(values=st.integers(0, 300), wrong=st.integers(0, 2000))
def test_another_length_is_refused(codec: Codec, values: int, wrong: int) -> None:
    size = codec.format.encoded_size(values)
    if wrong == size:
        wrong += 1
    with pytest.raises(CodecError, match=f"{values} values take {size} bytes .* there are {wrong}"):
        codec.decode(bytes(wrong), values)


@each_codec
@pytest.mark.parametrize("values", [CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 300])
def test_chunks_meet_without_a_seam(codec: Codec, values: int) -> None:
    """The same bytes whether a tensor is coded whole or in slices of whole chunks."""
    tensor = torch.randn(values, generator=torch.Generator().manual_seed(values))
    slices = [codec.encode(part) for part in (tensor[:CHUNK], tensor[CHUNK:])]
    data = codec.encode(tensor)
    assert data == b"".join(slices)
    decoded = codec.decode(memoryview(data), values)
    assert bool(((decoded - tensor).abs() <= codec.error_bound(tensor)).all())


@each_codec
@pytest.mark.parametrize("value", NOT_FINITE)
@pytest.mark.parametrize("index", [0, 256, CHUNK + 5])
def test_what_is_not_finite_is_refused_by_index(codec: Codec, value: float, index: int) -> None:
    tensor = torch.ones(CHUNK + 6)
    tensor[index] = value
    buffer = bytearray(codec.format.encoded_size(tensor.numel()))
    with pytest.raises(CodecError, match=f"the value {value:g} at index {index} is beyond"):
        codec.encode_into(tensor, memoryview(buffer))
    assert not any(buffer)


@each_codec
def test_a_short_buffer_is_refused(codec: Codec) -> None:
    size = codec.format.encoded_size(300)
    with pytest.raises(CodecError, match=f"300 values take (up to )?{size} bytes"):
        codec.encode_into(torch.zeros(300), memoryview(bytearray(size - 1)))


@each_codec
@pytest.mark.parametrize(
    "tensor",
    [torch.zeros(2, 2), torch.zeros(4, dtype=torch.float64), torch.zeros(8)[::2]],
    ids=["two axes", "float64", "strided"],
)
def test_only_flat_float32_is_taken(codec: Codec, tensor: torch.Tensor) -> None:
    with pytest.raises(CodecError, match="flat, contiguous float32"):
        codec.encode(tensor)


@each_codec
def test_a_parameter_can_be_encoded(codec: Codec) -> None:
    tensor = torch.ones(3, requires_grad=True)
    decoded = codec.decode(codec.encode(tensor), 3)
    assert bool(((decoded - 1).abs() <= codec.error_bound(tensor)).all())
    assert not decoded.requires_grad


@each_codec
def test_decoding_into_ones_own_memory(codec: Codec) -> None:
    tensor = torch.randn(1000)
    out = torch.full((1000,), math.nan)
    codec.decode_into(codec.encode(tensor), out)
    assert torch.equal(out, codec.decode(codec.encode(tensor), 1000))


@each_codec
@given(tensor=tensors(st.integers(1, 5000)), data=st.data())
def test_damaged_bytes_decode_to_finite_values_or_are_refused(
    codec: Codec, tensor: torch.Tensor, data: st.DataObject
) -> None:
    tensor = tensor.clamp(-codec.largest, codec.largest)
    damaged = damage(codec.encode(tensor), data)
    try:
        decoded = codec.decode(damaged, tensor.numel())
    except CodecError:
        return
    assert bool(decoded.isfinite().all())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@each_codec
def test_a_gpu_writes_and_reads_the_same_bytes(codec: Codec) -> None:
    tensor = torch.randn(CHUNK + 300)
    data = codec.encode(tensor)
    if codec.format.exact_size:  # a sum has another order there, so its rounding may differ
        assert codec.encode(tensor.cuda()) == data
    assert torch.equal(codec.decode(data, CHUNK + 300, "cuda").cpu(), codec.decode(data, CHUNK + 300))
