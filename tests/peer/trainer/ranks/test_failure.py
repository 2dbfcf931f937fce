from peer.errors import TaskError
from peer.trainer.ranks import failure
from protocol.trainer import Failed


def test_what_any_rank_has_left_is_told_once(tmp_path):
    meeting = tmp_path / "ranks-ab"
    assert failure.take(meeting, 3) is None
    error = TaskError("loss() fails", "Mend it")
    for rank in (2, 3):
        failure.write(meeting, rank, error)
    assert failure.take(meeting, 3) == Failed(code=error.code, message="loss() fails", remedy="Mend it")
    assert failure.take(meeting, 3) is None
    assert not list(tmp_path.iterdir())


def test_a_half_of_it_is_as_good_as_none(tmp_path):
    meeting = tmp_path / "ranks-ab"
    (tmp_path / "ranks-ab-1").write_bytes(b"\x81")
    assert failure.take(meeting, 1) is None
