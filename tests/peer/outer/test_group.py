import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from peer.outer.group import weighted_mean

weights = st.lists(st.floats(0, 100), min_size=1, max_size=9).filter(lambda drawn: sum(drawn) > 1e-3)


@given(weights, st.integers(0, 2**32 - 1))
def test_the_mean_is_numpys(drawn: list[float], seed: int) -> None:
    parts = torch.randn(len(drawn), 50, generator=torch.Generator().manual_seed(seed))
    expected = np.average(parts.double().numpy(), axis=0, weights=drawn)
    np.testing.assert_allclose(weighted_mean(list(parts), drawn).numpy(), expected, atol=1e-6)


@given(weights, st.floats(0.01, 100))
def test_only_the_ratios_of_weights_count(drawn: list[float], scale: float) -> None:
    parts = list(torch.randn(len(drawn), 50, dtype=torch.float64))
    scaled = weighted_mean(parts, [scale * weight for weight in drawn])
    torch.testing.assert_close(scaled, weighted_mean(parts, drawn))


def test_who_fails_leaves_the_mean_of_the_others() -> None:
    parts = [torch.tensor([1.0]), torch.tensor([4.0]), torch.tensor([-7.0])]
    assert weighted_mean(parts[:2], [1.0, 3.0]).item() == 3.25


def test_half_precision_is_summed_in_single() -> None:
    parts = [torch.full((1,), 2048.0, dtype=torch.float16), torch.ones(1, dtype=torch.float16)]
    mean = weighted_mean(parts, [1.0, 1.0])
    assert (mean.dtype, mean.item()) == (torch.float32, 1024.5)


@pytest.mark.parametrize("drawn", [[0.0, 0.0], [-1.0, 3.0], [float("nan"), 1.0]])
def test_weights_that_make_no_mean_are_refused(drawn: list[float]) -> None:
    with pytest.raises(ValueError, match="weights"):
        weighted_mean([torch.zeros(2), torch.ones(2)], drawn)
