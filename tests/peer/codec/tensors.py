"""Flat tensors of every length and magnitude, for hypothesis."""

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

LENGTHS = st.one_of(st.integers(0, 5000), st.sampled_from([0, 1, 255, 256, 257, 4096, 5000]))


@st.composite
def tensors(draw: st.DrawFn, lengths: st.SearchStrategy[int] = LENGTHS) -> Tensor:
    """Draw values whose magnitudes span up to the whole range of float32, with zeros among them."""
    length, seed = draw(lengths), draw(st.integers(0, 2**32 - 1))
    low = draw(st.integers(-149, 127))
    high = draw(st.integers(low, 127))
    generator = np.random.default_rng(seed)
    magnitudes = generator.uniform(1, 2, length) * 2.0 ** generator.integers(low, high + 1, length)
    kept = generator.random(length) < draw(st.sampled_from([0.0, 0.02, 0.5, 1.0]))
    signs = generator.choice([-1.0, 1.0], length)
    limit = torch.finfo(torch.bfloat16).max
    return torch.from_numpy((magnitudes * signs * kept).astype(np.float32)).clamp(-limit, limit)


def damage(encoded: bytes, data: st.DataObject) -> bytes:
    """Cut bytes off, flip some bits, or put something else in the middle."""
    damaged = bytearray(encoded)
    kind = data.draw(st.sampled_from(["cut", "flip", "splice"]))
    if kind == "cut":
        return bytes(damaged[: data.draw(st.integers(0, len(damaged)))])
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, min(40, len(damaged) - 1)) | st.integers(0, len(damaged) - 1))
        if kind == "flip":
            damaged[at] ^= 1 << data.draw(st.integers(0, 7))
        else:
            damaged[at:at] = data.draw(st.binary(max_size=8))
    return bytes(damaged)
