from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from peer.outer.mix import Correction, apply, settle
from peer.outer.ranges import Ranges, gather, length, split, views
from peer.outer.step import OuterState, take_outer_step
from tests.peer.outer.rules import RULES

LENGTH = 40
places = st.sets(st.integers(0, LENGTH - 1), min_size=2, max_size=8).map(sorted)


def cut(at: list[int]) -> tuple[Ranges, Ranges]:
    """Return every other run between the places, and all the rest of the vector."""
    inside = tuple(zip(at[::2], at[1::2], strict=False))
    edges = [0, *(edge for run in inside for edge in run), LENGTH]
    outside = tuple((a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if a < b)
    return inside, outside


@given(places)
def test_both_parts_together_are_the_vector(at: list[int]) -> None:
    inside, outside = cut(at)
    vector = torch.arange(LENGTH)
    assert length(inside) + length(outside) == LENGTH
    together = torch.cat((gather(vector, inside), gather(vector, outside)))
    assert torch.equal(together.sort().values, vector)
    for run, part in zip(views(vector, inside), split(gather(vector, inside), inside), strict=True):
        assert torch.equal(run, part)


def test_a_compact_tensor_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="5 values for ranges of 4"):
        split(torch.zeros(5), ((0, 1), (3, 6)))


@pytest.mark.parametrize("keep", [None, 0.5])
@pytest.mark.parametrize("name", ["noloco", "gossip", "two-tensors"])
@given(at=places, seed=st.integers(0, 2**32 - 1))
def test_two_fragments_are_the_whole_bit_for_bit(
    name: str, keep: float | None, at: list[int], seed: int
) -> None:
    rule = replace(RULES[name], keep=keep, by_delay=False)
    generator = torch.Generator().manual_seed(seed)
    first, momentum, moved, difference = torch.randn(4, LENGTH, generator=generator)
    results = []
    for parts in ([None], [where for where in cut(at) if where]):
        state = OuterState.create(first)
        state.momentum.copy_(momentum)
        theta = first + moved
        for where in parts:
            shared = take_outer_step(rule, state, theta, where)
            for tensor, share in zip(shared, rule.shares, strict=True):
                now = {"theta": first + moved, "phi": state.phi, "momentum": state.momentum}[share]
                assert torch.equal(tensor, gather(now, where))
            landed = Correction(tuple(gather(difference, where) for _ in rule.shares))
            apply(rule, state, theta, landed, where)
            settle(rule, state, theta, where)
        results.append((state.phi, state.momentum, theta))
    for whole, in_parts in zip(*results, strict=True):
        assert torch.equal(whole, in_parts)
