"""Parts of a flat vector: a fragment's values lie in several runs of it."""

from typing import TypeAlias

import torch
from torch import Tensor

Ranges: TypeAlias = tuple[tuple[int, int], ...]
"""Runs [start, stop) of a flat vector, ascending and disjoint. None in its place is the whole vector."""


def length(where: Ranges) -> int:
    """Return how many values lie in the ranges."""
    return sum(stop - start for start, stop in where)


def views(tensor: Tensor, where: Ranges | None) -> tuple[Tensor, ...]:
    """Return the tensor's runs; a change to a view is a change to the tensor."""
    if where is None:
        return (tensor,)
    return tuple(tensor[start:stop] for start, stop in where)


def gather(tensor: Tensor, where: Ranges | None) -> Tensor:
    """Copy the runs, one after another, into a new compact tensor."""
    return tensor.clone() if where is None else torch.cat(views(tensor, where))


def split(compact: Tensor, where: Ranges | None) -> tuple[Tensor, ...]:
    """Cut a compact tensor as `gather` made it: one view for each run.

    Raises:
        ValueError: it is of another length than the ranges.
    """
    if where is None:
        return (compact,)
    if compact.numel() != length(where):
        raise ValueError(f"{compact.numel()} values for ranges of {length(where)}")
    return torch.split(compact, [stop - start for start, stop in where])
