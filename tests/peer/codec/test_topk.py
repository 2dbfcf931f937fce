import struct

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from peer.codec.base import CodecError
from peer.codec.formats import CHUNK
from peer.codec.topk import TopK
from tests.peer.codec.tensors import tensors


@given(tensors(st.integers(1, 9000)))
def test_the_largest_magnitudes_are_kept_at_two_levels(tensor: torch.Tensor) -> None:
    tensor = tensor.clamp(-TopK.largest, TopK.largest)
    decoded = TopK().decode(TopK().encode(tensor), tensor.numel()).double().numpy()
    for start in range(0, tensor.numel(), 4096):
        block = tensor[start : start + 4096].double().numpy()
        found = decoded[start : start + 4096]
        kept = found != 0
        assert kept.sum() <= -(-len(block) // 64)
        assert (np.sign(found) == np.sign(block))[kept].all()
        assert len(np.unique(np.abs(found[kept]))) <= 2
        least = np.sort(np.abs(block))[::-1][: -(-len(block) // 64)].min()
        assert (np.abs(block)[kept] >= least).all()


def test_the_levels_are_the_means_of_the_smaller_and_of_the_larger() -> None:
    tensor = torch.randn(2 * 4096, generator=torch.Generator().manual_seed(1)) * torch.linspace(
        1, 3, 2 * 4096
    )
    decoded = TopK().decode(TopK().encode(tensor), tensor.numel())
    for block, found in zip(tensor.view(2, -1).abs(), decoded.view(2, -1).abs(), strict=True):
        kept = block.topk(64).values
        upper, lower = kept[kept >= kept.mean()], kept[kept < kept.mean()]
        levels, counts = found[found > 0].unique(return_counts=True)
        assert levels.tolist() == pytest.approx([float(lower.mean()), float(upper.mean())], rel=2**-8)
        assert counts.tolist() == [lower.numel(), upper.numel()]


def test_the_bytes_by_hand() -> None:
    """Gaps 0, 299 (with one escape), 3, 0 and 0; no zstd in a frame so short."""
    tensor = torch.zeros(320)
    tensor[[0, 300, 304, 305, 306]] = torch.tensor([-2.0, 6.0, 2.0, -8.0, 10.0])
    data = TopK().encode(tensor)
    levels = struct.pack("<f", 2.0)[2:] + struct.pack("<f", 8.0)[2:]
    assert data == struct.pack("<I", 6) + b"\x00\xff\x2c\x03\x00\x00" + levels + bytes([0b11000110, 1])
    assert TopK().decode(data, 320)[[0, 300, 304, 305, 306]].tolist() == [-2, 8, 2, -8, 8]


def test_nothing_comes_of_zeros() -> None:
    """Though a block with few values has some of its zeros kept."""
    tensor = torch.zeros(4096)
    tensor[[7, 900]] = torch.tensor([1.0, -3.0])
    decoded = TopK().decode(TopK().encode(tensor), 4096)
    assert decoded.nonzero().view(-1).tolist() == [7, 900]


def hand(gaps: bytes, codes: int, values: int = 64, levels: tuple[float, float] = (1.0, 2.0)) -> torch.Tensor:
    lower, upper = (struct.pack("<f", level)[2:] for level in levels)
    return TopK().decode(struct.pack("<I", len(gaps)) + gaps + lower + upper + bytes([codes]), values)


def test_codes_are_a_sign_and_a_level() -> None:
    assert hand(b"\x05", 0)[5] == 1
    assert hand(b"\x05", 1)[5] == 2
    assert hand(b"\x05", 2)[5] == -1
    assert hand(b"\x3f", 3)[63] == -2
    assert hand(b"\x05", 0b11111100)[5] == 1  # what is beyond the last value does not count


@pytest.mark.parametrize(
    ("gaps", "values"),
    [(b"\x40", 64), (b"\x00\xff", 300), (b"\x00\x00", 64), (b"\xff", 300), (b"", 64), (b"\xff\xff\x00", 256)],
)
def test_wrong_gaps_are_refused(gaps: bytes, values: int) -> None:
    with pytest.raises(CodecError):
        hand(gaps, 0, values)


def test_levels_that_are_not_finite_are_refused() -> None:
    with pytest.raises(CodecError, match="not finite"):
        hand(b"\x05", 0, levels=(float("inf"), 1.0))


def test_the_rate_on_a_gaussian() -> None:
    tensor = torch.randn(CHUNK, generator=torch.Generator().manual_seed(1))
    assert 8 * len(TopK().encode(tensor)) / CHUNK == pytest.approx(0.159, abs=0.004)
