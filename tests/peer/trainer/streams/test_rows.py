"""Each row of a pass is read by one shard, whatever files and groups there are; reading goes on anywhere."""

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peer.errors import DataError
from peer.trainer.streams.rows import Cursor, Deal, HoldOut
from tests.peer.trainer.streams.shelf_of_rows import Shelf, shelf

NONE = HoldOut(0.0, 0)

SHAPES = st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=4), min_size=1, max_size=5)


def one_pass(rows, shards, shard, held_out=NONE, seed=0):
    """What a shard reads in its first pass."""
    taken = []
    try:
        for after, text in Deal(rows, shards, shard, seed, held_out).read(Cursor()):
            if after.pass_ > 0:
                break
            taken.append(text)
    except DataError:  # it has no row in any pass
        return []
    return taken


@given(SHAPES, st.integers(1, 12), st.integers(0, 3))
def test_the_shards_of_a_pass_are_all_rows_and_share_none(shape, shards, seed):
    rows = shelf(*shape)
    taken = [text for shard in range(shards) for text in one_pass(rows, shards, shard, seed=seed)]
    assert sorted(taken) == sorted(rows.all())


@given(SHAPES, st.integers(1, 8))
def test_after_as_many_passes_as_shards_each_has_read_everything(shape, shards):
    rows = shelf(*shape)
    if not rows.all():
        return
    taken = []
    for after, text in Deal(rows, shards, 1, 0, NONE).read(Cursor()):
        if after.pass_ >= shards:
            break
        taken.append(text)
    assert sorted(taken) == sorted(rows.all())


@given(SHAPES, st.integers(1, 8), st.integers(0, 30))
def test_it_goes_on_where_a_cursor_stands(shape, shards, count):
    rows = shelf(*shape)
    if not rows.all():
        return
    whole = list(islice(Deal(rows, shards, 0, 0, NONE).read(Cursor()), count + 20))
    cursor = whole[count - 1][0] if count else Cursor()
    assert list(islice(Deal(rows, shards, 0, 0, NONE).read(cursor), 20)) == whole[count:]


def test_with_groups_enough_a_shard_reads_no_others_rows():
    rows = shelf([3] * 8)
    assert len(one_pass(rows, 4, 1)) == 6
    assert {group for _, group, _ in rows.read_rows if group % 4 != 1} <= {2}  # where the next pass begins


def test_what_is_held_out_nobody_trains_on_and_all_agree():
    rows = shelf([100], [100], [100])
    hold_out = HoldOut(0.2, 3)
    trained = [text for shard in range(5) for text in one_pass(rows, 5, shard, hold_out)]
    held = {f"{f}.0.{row}" for f in range(3) for row in range(100) if hold_out.holds(f, 0, row)}
    assert sorted(trained) == sorted(set(rows.all()) - held)
    assert len(held) == pytest.approx(60, abs=20)
    assert held != {
        f"{f}.0.{row}" for f in range(3) for row in range(100) if HoldOut(0.2, 4).holds(f, 0, row)
    }


def test_rows_without_text_are_left_out():
    rows = Shelf([[["a", None, "", 3, b"x", "b"]]])
    assert one_pass(rows, 1, 0) == ["a", "b"]


@pytest.mark.parametrize("files", [[[[]]], [[[None]], [[""]]]])
def test_a_data_set_without_text_is_named_as_such(files):
    with pytest.raises(DataError, match="no row of text"):
        next(Deal(Shelf(files), 3, 0, 0, NONE).read(Cursor()))


def test_what_cannot_be_read_can_be_passed_over():
    rows = shelf([3, 3, 3])
    rows.failing[0, 1, 1] = [ValueError("torn")]
    deal = Deal(rows, 1, 0, 0, NONE)
    reading = deal.read(Cursor())
    taken = [next(reading)[1] for _ in range(4)]
    with pytest.raises(ValueError, match="torn"):
        next(reading)
    going_on = deal.read(deal.beyond)
    assert [*taken, next(going_on)[1]] == ["0.0.0", "0.0.1", "0.0.2", "0.1.0", "0.2.0"]


def test_a_file_that_does_not_open_can_be_passed_over():
    class Torn(Shelf):
        def groups(self, file):
            if file == 1:
                raise ValueError("torn")
            return super().groups(file)

    deal = Deal(Torn([[["a"]], [["b"]], [["c"]]]), 1, 0, 0, NONE)
    taken, cursor = [], Cursor()
    while len(taken) < 6:
        try:
            for after, text in deal.read(cursor):
                cursor = after
                taken.append(text)
                if len(taken) == 6:
                    break
        except ValueError:
            cursor = deal.beyond
    assert sorted(taken) == ["a"] * 3 + ["c"] * 3
