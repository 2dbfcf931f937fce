"""Batches cut along their first dimension, which counts the examples."""

from collections.abc import Iterator

from torch import Tensor

from peer.trainer.feed import Batch


def tensors(batch: Batch) -> tuple[Tensor, ...]:
    """Return the tensors that a batch is made of, in order."""
    if isinstance(batch, dict):
        return tuple(batch.values())
    return batch if isinstance(batch, tuple) else (batch,)


def size(batch: Batch) -> int:
    """Return how many examples a batch holds."""
    return tensors(batch)[0].shape[0]


def cut(batch: Batch, start: int, stop: int) -> Batch:
    """Return the examples from `start` up to `stop`, as views."""
    if isinstance(batch, dict):
        return {name: each[start:stop] for name, each in batch.items()}
    if isinstance(batch, tuple):
        return tuple(each[start:stop] for each in batch)
    return batch[start:stop]


def rows(count: int, parts: int, number: int) -> tuple[int, int]:
    """Return where the part with this number begins and ends, of so many parts as equal as can be."""
    return count * number // parts, count * (number + 1) // parts


def portions(batch: Batch, most: int | None) -> Iterator[Batch]:
    """Yield a batch in as few parts of at most `most` examples as it takes; itself where it is one."""
    count = size(batch)
    parts = number_of_portions(count, most)
    if parts == 1:
        yield batch
        return
    for number in range(parts):
        yield cut(batch, *rows(count, parts, number))


def number_of_portions(count: int, most: int | None) -> int:
    """Return in how many parts so many examples pass."""
    return 1 if most is None else -(-count // most)


def largest_portion(count: int, most: int) -> int:
    """Return how many examples the largest of these parts holds."""
    return -(-count // number_of_portions(count, most))
