import pytest
from hypothesis import given
from hypothesis import strategies as st

from peer.trainer.order import Order, Permutation, Position

sizes = st.integers(1, 400)
seeds = st.integers(0, 2**63 - 1)


def one_pass(order: Order, pass_: int) -> list[int]:
    """All windows of one pass, by taking one at a time until the pass changes."""
    taken: list[int] = []
    position = Position(pass_, 0)
    while True:
        (window,), position = order.take(position, 1)
        if position.pass_ != pass_:
            return taken
        taken.append(window)


@given(sizes, st.binary(max_size=8))
def test_a_permutation_is_a_bijection(size, key):
    permutation = Permutation(size, key)
    assert sorted(permutation[i] for i in range(size)) == list(range(size))


@given(st.integers(1, 2**40), st.data())
def test_large_permutations_stay_inside_and_apart(size, data):
    permutation = Permutation(size, b"key")
    indices = data.draw(st.lists(st.integers(0, size - 1), max_size=20, unique=True))
    images = [permutation[i] for i in indices]
    assert len(set(images)) == len(images)
    assert all(0 <= image < size for image in images)


@pytest.mark.parametrize("index", [-1, 10])
def test_a_permutation_refuses_what_is_outside(index):
    with pytest.raises(IndexError):
        Permutation(10, b"")[index]


def test_the_order_is_pinned_for_ever():
    # Peers of one run may have different releases: a changed order would silently overlap their shards.
    order = Order(windows=1000, shards=4, shard=1, seed=42)
    assert order.take(Position(), 8)[0] == [8, 756, 528, 407, 764, 431, 905, 813]


def test_neighbours_are_spread():
    permutation = Permutation(100_000, b"key")
    steps = [abs(permutation[i + 1] - permutation[i]) for i in range(2000)]
    assert 25_000 < sum(steps) / len(steps) < 42_000  # a third of the size for a random order
    assert sum(permutation[i] for i in range(2000)) / 2000 == pytest.approx(50_000, rel=0.05)


@given(st.integers(1, 8), st.integers(8, 200), seeds, st.integers(0, 20), st.data())
def test_peers_with_different_shards_never_meet_in_a_pass(shards, windows, seed, pass_, data):
    first, second = data.draw(st.lists(st.integers(0, shards - 1), min_size=2, max_size=2))
    ours = one_pass(Order(windows, shards, first, seed), pass_)
    theirs = one_pass(Order(windows, shards, second, seed), pass_)
    assert set(ours).isdisjoint(theirs) if first != second else ours == theirs


@given(st.integers(1, 8), st.integers(8, 200), seeds, st.integers(0, 100))
def test_every_window_is_read_once_in_as_many_passes_as_shards(shards, windows, seed, shard):
    taken, position = Order(windows, shards, shard, seed).take(Position(), windows)
    assert sorted(taken) == list(range(windows))
    assert len(one_pass(Order(windows, shards, shard, seed), 0)) in {windows // shards, -(-windows // shards)}
    assert position.pass_ in {shards - 1, shards}


@given(st.integers(1, 8), st.integers(8, 60), st.lists(st.integers(1, 30), max_size=8))
def test_a_walk_goes_on_where_it_stopped(shards, windows, counts):
    order = Order(windows, shards, 2, seed=3)
    together, end = order.take(Position(), sum(counts))
    apart, position = [], Position()
    for count in counts:
        taken, position = order.take(position, count)
        apart += taken
    assert apart == together
    assert position == end


def test_too_few_windows_are_refused():
    with pytest.raises(ValueError, match="cannot be dealt"):
        Order(windows=3, shards=4, shard=0, seed=0)
