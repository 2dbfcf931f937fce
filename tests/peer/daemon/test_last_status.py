import json

import pytest

from peer.daemon.last_status import read_last_status, write_last_status
from tests.peer.daemon.controls import STATUS, status


def test_the_last_status_is_kept(tmp_path):
    write_last_status(tmp_path, STATUS)
    ended = status(state="finished", loss=None, metrics=None, addresses=(), trainer_pid=None)
    write_last_status(tmp_path, ended)
    assert read_last_status(tmp_path) == ended


def test_it_reads_as_what_peer_status_prints(tmp_path):
    write_last_status(tmp_path, STATUS)
    assert json.loads((tmp_path / "status.json").read_text())["inner_step"] == STATUS.inner_step


def test_a_home_whose_daemon_never_ended_in_order_has_none(tmp_path):
    assert read_last_status(tmp_path) is None


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b"\xff", b"3", b'{"type": "status", "peer_id": "\xff"}', b"[" * 100_000],
    ids=["empty", "no fields", "binary", "no object", "no text", "deep"],
)
def test_a_damaged_one_is_as_good_as_none(tmp_path, data):
    (tmp_path / "status.json").write_bytes(data)
    assert read_last_status(tmp_path) is None
