from peer.errors import TaskError
from peer.trainer.ranks import failure
from protocol.trainer import Failed


def test_what_any_rank_has_left_is_read(tmp_path):
    assert failure.read(tmp_path) is None
    error = TaskError("loss() fails", "Mend it")
    for rank in (2, 3):
        failure.write(tmp_path, rank, error)
    assert failure.read(tmp_path) == Failed(code=error.code, message="loss() fails", remedy="Mend it")


def test_a_half_of_it_is_as_good_as_none(tmp_path):
    (tmp_path / "failed-1").write_bytes(b"\x81")
    assert failure.read(tmp_path) is None
