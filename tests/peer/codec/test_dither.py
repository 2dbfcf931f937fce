import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from peer.codec.dither import Dither, uniform
from peer.codec.formats import CHUNK

CPU = torch.device("cpu")


def reference(seed: int, chunk: int, values: int) -> np.ndarray:
    """The same hash in unsigned 64-bit arithmetic."""
    mask, words = np.uint64(0xFFFFFFFF), np.arange(values, dtype=np.uint64)
    for half in (seed & 0xFFFFFFFF, seed >> 32):
        words ^= np.uint64(half)
        for _ in range(2):
            words = words * np.uint64(0x21F0AAAD) & mask
            words ^= words >> np.uint64(15)
    return (words + np.uint64(0x9E3779B1 * chunk & 0xFFFFFFFF) & mask).astype(np.uint32)


@given(st.integers(0, 2**64 - 1), st.integers(0, 10**6), st.integers(1, 3000))
def test_against_numpy(seed: int, chunk: int, values: int) -> None:
    words = Dither(seed, values, CPU).words(chunk, values)
    assert words.numpy().view(np.uint32).tolist() == reference(seed, chunk, values).tolist()


@given(st.integers(0, 2**64 - 1), st.integers(0, 50))
def test_offsets_are_uniform_and_unlike_their_neighbours(seed: int, chunk: int) -> None:
    offsets = uniform(Dither(seed, CHUNK, CPU).words(chunk, 1 << 16)).double()
    assert float(offsets.abs().max()) <= 0.5
    counts = torch.histc(offsets, 16, -0.5, 0.5)
    assert float((counts - 4096).abs().max()) < 6 * 64  # six standard deviations
    for lag in (1, 2, 1024):
        correlation = (offsets[lag:] * offsets[:-lag]).mean() * 12
        assert abs(float(correlation)) < 6 / 256


def test_seeds_and_chunks_differ() -> None:
    seeds = (0, 1, 1 << 32, (1 << 64) - 1)
    words = [Dither(seed, 64, CPU).words(chunk, 64).clone() for seed in seeds for chunk in (0, 1)]
    assert len({tuple(of.tolist()) for of in words}) == len(words)
