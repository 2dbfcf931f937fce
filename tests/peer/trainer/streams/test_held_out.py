import pytest
import torch

from peer.errors import DataError
from peer.trainer.streams import held_out
from peer.trainer.streams.held_out import gather
from peer.trainer.streams.rows import HoldOut
from tests.peer.trainer.streams.shelf_of_rows import Shelf, letters, shelf


def text(rows, held_out, **sizes):
    tokens = gather(rows, held_out, letters, 0, **{"least": 1, "most": 10**6} | sizes)
    return "".join(chr(token) for token in tokens.tolist())


def test_it_is_what_is_held_out_in_the_order_of_the_files():
    rows, held = shelf([50, 50], [50]), HoldOut(0.3, 0)
    wanted = [
        f"{file}.{group}.{row}\0"
        for file, groups in ((0, 2), (1, 1))
        for group in range(groups)
        for row in range(50)
        if held.holds(file, group, row)
    ]
    assert text(rows, held) == "".join(wanted)
    assert text(rows, None) == "".join(f"{row}\0" for row in rows.all())


def test_no_more_is_read_than_an_evaluation_needs():
    rows = shelf([1000], [1000])
    assert len(text(rows, None, most=100)) == 100
    assert len(rows.read_rows) < 30


def test_a_share_too_small_for_a_large_stream_makes_do(monkeypatch):
    held = HoldOut(0.01, 0)
    whole = text(shelf([10_000]), held)
    monkeypatch.setattr(held_out, "FARTHEST", 4000)
    rows = shelf([10_000])
    some = text(rows, held)
    assert 0 < len(some) < len(whole)
    assert whole.startswith(some)
    assert len(rows.read_rows) < 1000


@pytest.mark.parametrize("files", [[[[]]], [[["ab"]]], [[[None, 3]]]])
def test_too_little_is_said_in_a_line(files):
    with pytest.raises(DataError, match=r"held-out rows of the data set have [03] tokens, a context needs 9"):
        text(Shelf(files), None, least=9)


def test_tokens_are_one_tensor():
    assert gather(shelf([5]), None, letters, 0, least=1, most=9).dtype == torch.int32
