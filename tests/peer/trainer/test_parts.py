from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from peer.trainer.parts import cut, largest_portion, number_of_portions, portions, rows, size, tensors

EXAMPLES = torch.arange(20).view(10, 2)
BATCHES = [EXAMPLES, (EXAMPLES, EXAMPLES + 1), {"tokens": EXAMPLES, "mask": EXAMPLES > 3}]


@pytest.mark.parametrize("batch", BATCHES)
def test_a_batch_of_any_kind_is_cut_into_batches_of_its_kind(batch):
    assert size(batch) == 10
    part = cut(batch, 3, 7)
    assert type(part) is type(batch)
    assert size(part) == 4
    for whole, piece in zip(tensors(batch), tensors(part), strict=True):
        assert torch.equal(piece, whole[3:7])


@given(st.integers(1, 200), st.integers(1, 200))
def test_portions_are_all_of_a_batch_and_as_equal_as_can_be(count, most):
    batch = torch.arange(count)
    parts = [part for part in portions(batch, most) if isinstance(part, torch.Tensor)]
    assert torch.equal(torch.cat(parts), batch)
    sizes = [size(part) for part in parts]
    assert len(sizes) == number_of_portions(count, most) == -(-count // most)
    assert max(sizes) == largest_portion(count, most) <= most
    assert max(sizes) - min(sizes) <= 1


def test_what_passes_whole_is_the_batch_itself():
    assert next(portions(EXAMPLES, None)) is EXAMPLES
    assert next(portions(EXAMPLES, 10)) is EXAMPLES


@given(st.integers(1, 100), st.integers(1, 8))
def test_the_rows_of_all_parts_follow_each_other(count, parts):
    bounds = [rows(count, parts, number) for number in range(parts)]
    assert bounds[0][0] == 0
    assert bounds[-1][1] == count
    assert all(before[1] == after[0] for before, after in pairwise(bounds))
