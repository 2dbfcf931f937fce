"""A mixture draws each position's source by its weight, and takes each source in its order."""

import pytest
import torch

from peer.trainer.feed import TokenFeed
from peer.trainer.mixture import Draw, Mixture
from peer.trainer.order import Position


class Counting(TokenFeed):
    """Gives (source, number) pairs in order, and remembers what it was told."""

    def __init__(self, source):
        self.source = source
        self.resumed = b""
        self.wanting = None
        self.closed = False
        self.at = 0

    def take(self, position, count):
        numbers = torch.arange(position.index, position.index + count)
        self.at = position.index + count
        return torch.stack([torch.full_like(numbers, self.source), numbers], 1), Position(0, self.at)

    def state(self):
        return b"%d" % self.at

    def resume(self, state):
        self.resumed = state

    def lacks(self, position, count):
        return self.wanting

    def close(self):
        self.closed = True


def mixture(weights=(0.7, 0.3), seed=0, shard=0):
    feeds = [Counting(source) for source in range(len(weights))]
    return Mixture(feeds, Draw(weights, seed, shard)), feeds


def read(made, count, stride, position=Position()):  # noqa: B008 - it is frozen
    parts = []
    while count:
        part, position = made.take(position, min(stride, count))
        parts.append(part)
        count -= len(part)
    return torch.cat(parts), position


def test_sources_come_by_their_weights_and_each_in_its_order():
    taken, _ = read(mixture((7, 2, 1))[0], 20_000, 16)
    for source, weight in enumerate((0.7, 0.2, 0.1)):
        numbers = taken[taken[:, 0] == source][:, 1]
        assert len(numbers) / 20_000 == pytest.approx(weight, abs=0.01)
        assert numbers.tolist() == list(range(len(numbers)))


def test_strides_change_nothing_and_seed_and_shard_do():
    whole, _ = read(mixture()[0], 100, 100)
    assert torch.equal(read(mixture()[0], 100, 7)[0], whole)
    for other in (mixture(seed=1), mixture(shard=1)):
        assert not torch.equal(read(other[0], 100, 100)[0], whole)


def test_it_goes_on_from_a_state():
    whole, _ = read(mixture()[0], 100, 10)
    first, _ = mixture()
    _, position = read(first, 40, 8)
    second, feeds = mixture()
    second.resume(first.state())
    assert torch.equal(read(second, 60, 10, position)[0], whole[40:])
    assert [int(feed.resumed) for feed in feeds] == [
        int((whole[:40, 0] == source).sum()) for source in (0, 1)
    ]


@pytest.mark.parametrize("state", [b"", b"\xff", b"\x80", b"[" * 1000, mixture((1, 1, 1))[0].state()])
def test_without_a_state_the_position_is_enough(state):
    whole, _ = read(mixture()[0], 100, 10)
    made, _ = mixture()
    made.resume(state)
    assert torch.equal(read(made, 30, 10, Position(0, 70))[0], whole[70:])


def test_taking_moves_nothing():
    made, _ = mixture()
    _, position = read(made, 30, 10)
    assert torch.equal(made.take(position, 10)[0], made.take(position, 10)[0])


def test_it_lacks_what_the_sources_lack_that_are_drawn():
    made, feeds = mixture((1.0, 1e-6))
    feeds[1].wanting = "rare"
    assert made.lacks(Position(), 20) is None
    feeds[0].wanting = "often"
    assert made.lacks(Position(), 20) == "often"


def test_all_sources_are_closed():
    made, feeds = mixture()
    made.close()
    assert all(feed.closed for feed in feeds)
