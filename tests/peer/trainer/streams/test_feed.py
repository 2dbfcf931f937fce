"""A stream gives the same windows in whatever strides it is read, and goes on from a state."""

import threading

import pytest
import torch

from peer.errors import DataError
from peer.trainer.order import Position
from peer.trainer.streams import patience
from peer.trainer.streams.feed import Stream
from peer.trainer.streams.rows import Deal, HoldOut
from peer.trainer.streams.windows import Shape, Windows
from tests.peer.trainer.streams.shelf_of_rows import Shelf, letters, shelf

SHAPE = Shape(context=8, end=0, shuffle=16, seed=1)
BLOCK = 64


@pytest.fixture
def stream(monkeypatch):
    monkeypatch.setattr(patience, "FIRST", 0.001)
    made = []

    def make(rows, shard=0):
        feed = Stream(Windows(Deal(rows, 2, shard, 0, HoldOut(0.0, 0)), letters, SHAPE), SHAPE.size)
        made.append(feed)
        return feed

    yield make
    for feed in made:
        feed.close()


def rows():
    return shelf([40, 40], [60], [40] * 3)


def read(feed, count, stride, position=Position()):  # noqa: B008 - it is frozen
    parts = [torch.empty(0, 9, dtype=torch.int64)]
    while count:
        part, position = feed.take(position, min(stride, count))
        parts.append(part)
        count -= len(part)
    return torch.cat(parts), position


def test_strides_change_nothing(stream):
    whole, _ = read(stream(rows()), 200, 200)
    assert whole.dtype == torch.int64
    assert whole.shape == (200, 9)
    for stride in (1, 7, BLOCK, 150):
        assert torch.equal(read(stream(rows()), 200, stride)[0], whole)
    assert not torch.equal(read(stream(rows(), shard=1), 200, 8)[0], whole)


@pytest.mark.parametrize("taken", [0, 1, 63, 64, 65, 200])
def test_it_goes_on_from_a_state_and_reads_little_again(stream, taken):
    whole, _ = read(stream(rows()), taken + 80, 40)
    first = stream(rows())
    _, position = read(first, taken, 10)
    shelf_of_second = rows()
    second = stream(shelf_of_second)
    second.resume(first.state())
    assert torch.equal(read(second, 80, 8, position)[0], whole[taken:])
    if taken == 200:
        # From its block on, two blocks and the one ahead; all from the start would be twice as many.
        assert len(shelf_of_second.read_rows) < 450


@pytest.mark.parametrize("state", [b"", b"{}", b"\xff", b'{"number": "x"}', b"[" * 10_000])
def test_without_a_state_the_position_is_enough(stream, state):
    whole, _ = read(stream(rows()), 180, 10)
    feed = stream(rows())
    feed.resume(state)
    assert torch.equal(read(feed, 30, 10, Position(0, 150))[0], whole[150:])


def test_taking_moves_nothing(stream):
    feed = stream(rows())
    _, position = read(feed, 100, 10)
    first, _ = feed.take(position, 60)
    again, _ = feed.take(position, 60)
    assert torch.equal(first, again)
    # Back where it was long ago it is all read again.
    assert torch.equal(feed.take(Position(), 10)[0], read(stream(rows()), 10, 10)[0])


def test_it_says_what_it_lacks_and_waits_for_nobody(stream):
    class Slow(Shelf):
        go = threading.Event()

        def read(self, file, group, start):
            self.go.wait()
            yield from super().read(file, group, start)

    feed = stream(Slow([[["text of a row"] * 200]]))
    assert feed.lacks(Position(), 4) == "the next text is being read"
    Slow.go.set()
    assert feed.take(Position(), 4)[0].shape == (4, 9)
    assert feed.lacks(Position(0, 4), 4) is None


def test_a_failing_network_is_waited_out_and_told(stream, monkeypatch):
    monkeypatch.setattr(patience, "FIRST", 1000.0)
    spoilt = rows()
    spoilt.failing = {(file, 0, 3): [ConnectionError("the Hub sleeps")] for file in range(3)}
    feed = stream(spoilt)
    while (reason := feed.lacks(Position(), 1)) == "the next text is being read":
        pass
    assert reason == "the Hub sleeps; tried 1 time"
    monkeypatch.setattr(patience, "FIRST", 0.001)
    feed.close()


def test_what_failed_for_a_while_changes_nothing(stream):
    whole, _ = read(stream(rows()), 200, 10)
    spoilt = rows()
    spoilt.failing = {(file, 0, row): [OSError("x")] * 2 for file in range(3) for row in (0, 17)}
    spoilt.failing[1, 0, 30] = [ValueError("half a row")] * 2  # came broken, and whole the third time
    assert torch.equal(read(stream(spoilt), 200, 10)[0], whole)


def test_what_stays_damaged_is_left_out(stream, caplog):
    spoilt = shelf([30] * 4)
    spoilt.failing[0, 1, 5] = [ValueError("torn")] * 100
    taken, _ = read(stream(spoilt), 60, 10)
    assert "torn" in caplog.text
    assert len(taken) == 60
    assert {group for _, group, _ in spoilt.read_rows} == {0, 1, 2, 3}


def test_a_stream_without_text_ends_training_with_a_reason(stream):
    feed = stream(Shelf([[[None] * 10]]))
    with pytest.raises(DataError, match="no row of text"):
        feed.take(Position(), 1)
    assert feed.lacks(Position(), 1) is None  # `take` says why
