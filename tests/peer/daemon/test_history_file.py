"""The curve that a home keeps."""

import pytest

from peer.daemon.history_file import read_history, write_history
from peer.telemetry.history import History


def _history():
    history = History()
    for step in range(1, 5):
        history.note(step, 1 / step)
    return history


def test_what_was_written_is_read(tmp_path):
    write_history(tmp_path, _history())
    found = History()
    read_history(tmp_path, found)
    assert found.points() == _history().points()


@pytest.mark.parametrize("data", [b"", b"{", b'{"width": 1}', b'{"width": "x", "buckets": []}', b"\xff\xfe"])
def test_a_damaged_file_is_as_good_as_none(tmp_path, data):
    (tmp_path / "history.json").write_bytes(data)
    found = History()
    read_history(tmp_path, found)
    assert found.points() == ()


def test_neither_a_missing_file_nor_a_disk_that_refuses_is_an_error(tmp_path):
    read_history(tmp_path / "nowhere", History())
    write_history(tmp_path / "nowhere", _history())
