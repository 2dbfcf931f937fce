"""Windows hold every token once, in blocks that are shuffled and can be made again from where they begin."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from peer.trainer.streams import windows as module
from peer.trainer.streams.rows import Cursor, Deal, HoldOut
from peer.trainer.streams.windows import Mark, Shape, Windows, encode_rows
from tests.peer.trainer.streams.shelf_of_rows import Shelf, letters, shelf

CONTEXT = 8
END = 0


def shape(shuffle=1, **changed):
    return Shape(**{"context": CONTEXT, "end": END, "shuffle": shuffle, "seed": 0} | changed)


def windows(rows, shuffle=1, shards=1, shard=0):
    return Windows(Deal(rows, shards, shard, 0, HoldOut(0.0, 0)), letters, shape(shuffle))


def text_of(tokens):
    return "".join(chr(token) for token in tokens)


def test_rows_stand_end_to_end_and_each_is_ended():
    rows = shelf([400])
    block = windows(rows).next()
    assert block.windows.shape == (64, CONTEXT + 1)
    whole = "".join(f"{text}\0" for text in rows.all())
    read = "".join(text_of(window[:-1]) for window in block.windows.tolist())
    assert read == whole[: len(read)]
    # The last token of a window is the first of the next: a target, and then an input.
    assert block.windows[:-1, -1].tolist() == block.windows[1:, 0].tolist()


@pytest.mark.parametrize("shuffle", [2, 64, 100])
def test_shuffling_changes_the_order_alone_and_not_beyond_its_reach(shuffle):
    rows = shelf([1000])
    shuffled, plain = windows(rows, shuffle).next().windows, windows(rows, shuffle=1)
    read = torch.cat([plain.next().windows for _ in range(2)])[: len(shuffled)]
    assert not torch.equal(shuffled, read)
    for start in range(0, len(shuffled), shuffle):
        part = slice(start, start + shuffle)
        assert sorted(shuffled[part].tolist()) == sorted(read[part].tolist())


def test_two_blocks_are_shuffled_apart():
    made = windows(shelf([7] * 300), 64)
    places = [made._order()]
    made._number += 1
    assert made._order() != places[0]


@given(st.lists(st.integers(0, 90), min_size=1, max_size=30), st.integers(1, 3), st.integers(0, 4))
def test_any_block_is_made_again_from_where_it_begins(lengths, shards, number):
    rows = Shelf([[["x" * length for length in lengths] + ["y"]]])
    made = windows(rows, 16, shards)
    blocks = [made.next() for _ in range(number + 2)]
    for block, following in pairwise(blocks):
        assert block.after == following.mark
    again = windows(rows, 16, shards)
    again.seek(number, blocks[number].mark)
    for block in blocks[number:]:
        made_again = again.next()
        assert made_again.number == block.number
        assert torch.equal(made_again.windows, block.windows)
        assert (made_again.mark, made_again.after) == (block.mark, block.after)


def test_a_failure_loses_nothing():
    rows, spoilt = shelf([300]), shelf([300])
    spoilt.failing[0, 0, 60] = [OSError("no network"), OSError("still none")]
    whole, made = windows(rows), windows(spoilt)
    for _ in range(2):
        with pytest.raises(OSError, match="n"):
            made.next()
    for _ in range(3):
        assert torch.equal(made.next().windows, whole.next().windows)


def test_what_is_damaged_can_be_left_out():
    rows = shelf([30, 30, 50])
    rows.failing[0, 1, 3] = [ValueError("torn")]
    made = windows(rows)
    with pytest.raises(ValueError, match="torn"):
        made.next()
    made.pass_over()
    read = text_of(made.next().windows[:, :-1].flatten().tolist())
    assert "".join(f"{row}\0" for row in ("0.0.29", "0.1.0", "0.1.1", "0.1.2", "0.2.0")) in read


def test_long_rows_are_cut_before_they_are_encoded(monkeypatch):
    monkeypatch.setattr(module, "ENCODED", 5)
    asked = []

    def encode(texts):
        asked.append(max(map(len, texts), default=0))
        return letters(texts)

    rows = encode_rows(["abc", "abcdefghijklm", "de"], encode, 7)
    assert [row.tolist() for row in rows] == [[*map(ord, text), 7] for text in ("abc", "abcdefghijklm", "de")]
    assert max(asked) == 5
    assert rows[0].dtype == torch.int32


def test_a_mark_is_small():
    import msgspec

    assert len(msgspec.json.encode(Mark(Cursor(3, 4, 5, 6, 7), 8))) < 100
