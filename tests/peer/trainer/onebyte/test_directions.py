import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from peer.trainer.onebyte import directions
from peer.trainer.onebyte.directions import CHUNK, WORDS, add_directions, perturb

MASK = (1 << 64) - 1
sizes = st.sampled_from([1, WORDS - 1, WORDS + 1, CHUNK, CHUNK + 7])
keys = st.integers(0, MASK)


def direction(key, size):
    total = torch.zeros(size, dtype=torch.int64)
    add_directions(total, [key], [1])
    return total


def reference(key, index):
    """The sign of one parameter, from SplitMix64 in Python's integers."""
    chunk, place = divmod(index, CHUNK)
    bit, word = divmod(place, WORDS)
    half = chunk * WORDS + word
    value = (key + (half // 2 + 1) * 0x9E3779B97F4A7C15) & MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & MASK
    value ^= value >> 31
    return 2 * (value >> (32 * (half % 2) + bit) & 1) - 1


@settings(max_examples=20)
@given(keys, sizes)
def test_every_sign_is_what_the_hash_says(key, size):
    signs = direction(key, size)
    assert set(signs.tolist()) <= {-1, 1}
    for index in {0, size // 2, size - 1}:
        assert signs[index] == reference(key, index)


@settings(max_examples=20)
@given(keys, sizes, sizes)
def test_a_direction_does_not_depend_on_how_much_of_it_is_made(key, one, other):
    shorter = min(one, other)
    assert torch.equal(direction(key, one)[:shorter], direction(key, other)[:shorter])


def test_neither_does_it_on_how_many_chunks_are_made_at_a_time(monkeypatch):
    """As on a GPU, where 64 chunks are made together."""
    size = 2 * CHUNK + 5
    alone = direction(123, size)
    monkeypatch.setattr(directions, "_blocks", lambda flat: [(0, flat)])
    assert torch.equal(direction(123, size), alone)


@settings(max_examples=10)
@given(st.lists(st.tuples(keys, st.integers(-(2**21), 2**21)), max_size=300), st.randoms())
def test_sums_are_exact_in_any_order(votes, chance):
    size = 100
    wanted = torch.zeros(size, dtype=torch.int64)
    for key, weight in votes:
        wanted += weight * direction(key, size)
    chance.shuffle(votes)
    total = torch.zeros(size, dtype=torch.int64)
    add_directions(total, [key for key, _ in votes], [weight for _, weight in votes])
    assert torch.equal(total, wanted)


def test_many_large_weights_do_not_overflow():
    total = torch.zeros(10, dtype=torch.int64)
    add_directions(total, [5] * 5000, [1 << 21] * 5000)
    assert torch.equal(total, 5000 * (1 << 21) * direction(5, 10))


def test_directions_look_random():
    """Means, and products of neighbours, of halves, and of directions with near keys, within 5 deviations."""
    size = CHUNK
    one, near = direction(1, size).double(), direction(2, size).double()
    bound = 5 * size**-0.5
    assert abs(one.mean()) < bound
    for lag in (1, 2, WORDS // 2, WORDS, 3 * WORDS):
        assert abs((one[lag:] * one[:-lag]).mean()) < 1.1 * bound
    assert abs((one * near).mean()) < bound


@given(keys, st.floats(1e-4, 1e-1))
@settings(max_examples=20)
def test_a_perturbation_is_the_direction_times_its_size(key, size):
    values = torch.zeros(1000)
    perturb(values, key, size)
    assert values.tolist() == pytest.approx((size * direction(key, 1000)).tolist())
