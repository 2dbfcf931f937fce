import errno
from typing import IO

import pytest

from peer.telemetry.event_file import MAX_LINE, EventFile, Follower, older, read_events, to_json
from peer.telemetry.events import ExchangeFailed, PeerSeen, Skipped


def _skip(step: int) -> Skipped:
    return Skipped(time=float(step), outer_step=step, reason="everybody is busy")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "events.log"


def test_what_is_appended_is_read_in_order_over_several_lives(path):
    for life in range(3):
        with EventFile(path) as file:
            file.append(_skip(2 * life))
            file.append(_skip(2 * life + 1))
    assert list(read_events(path)) == [_skip(step) for step in range(6)]


def test_a_log_that_is_not_there_is_empty(path):
    assert list(read_events(path)) == []


@pytest.mark.parametrize("kept", range(1, len(to_json(_skip(1)))))
def test_a_line_torn_by_a_crash_is_left_out_and_costs_no_other(path, kept):
    with EventFile(path) as file:
        file.append(_skip(0))
    with path.open("ab") as file:
        file.write(to_json(_skip(1)).encode()[:kept])
    assert list(read_events(path)) == [_skip(0)]
    with EventFile(path) as file:
        file.append(_skip(2))
    assert list(read_events(path)) == [_skip(0), _skip(2)]


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\xff\xfe",
        b"{}",
        b"[1]",
        b'{"event":"of_a_newer_version","time":1.0}',
        b'{"event":"skipped","time":1.0}',
        b'{"event":"skipped","time":"x","outer_step":1,"reason":""}',
        b"x" * 200_000,
        b"[" * 60_000,
    ],
)
def test_a_damaged_line_is_left_out(path, line):
    path.write_bytes(to_json(_skip(0)).encode() + b"\n" + line + b"\n" + to_json(_skip(1)).encode() + b"\n")
    assert list(read_events(path)) == [_skip(0), _skip(1)]


def test_fields_of_a_newer_version_are_passed_over(path):
    path.write_text('{"event":"peer_seen","time":1.0,"peer":"x","colour":"red"}\n')
    assert list(read_events(path)) == [PeerSeen(time=1.0, peer="x")]


def test_its_size_is_bounded_and_the_newest_events_are_kept(path):
    line = len(to_json(_skip(10))) + 1
    with EventFile(path, max_size=5 * line) as file:
        for step in range(10, 99):
            file.append(_skip(step))
        assert path.stat().st_size <= 5 * line
        assert older(path).stat().st_size <= 5 * line
        assert file.statistics().rotations == 17
    assert sorted(each.name for each in path.parent.iterdir()) == ["events.log", "events.log.1"]
    events = list(read_events(path))
    assert events == [_skip(step) for step in range(99 - len(events), 99)]
    assert len(events) > 5


def test_an_event_larger_than_the_bound_is_still_written(path):
    with EventFile(path, max_size=1) as file:
        file.append(_skip(0))
        file.append(_skip(1))
    assert list(read_events(path)) == [_skip(0), _skip(1)]


class _FullDisk:
    """Takes `room` bytes, then none."""

    def __init__(self, file: IO[bytes], room: int) -> None:
        self._file, self.room = file, room

    def write(self, data: bytes) -> int:
        if self.room == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = self._file.write(data[: self.room])
        self.room -= taken
        return taken

    def close(self) -> None:
        self._file.close()


@pytest.mark.parametrize("room", [0, 1, 40])
def test_a_full_disk_costs_events_and_no_more(path, room, monkeypatch):
    with EventFile(path) as file:
        file.append(_skip(0))
        disk = _FullDisk(file._file, room)
        monkeypatch.setattr(file, "_file", disk)
        file.append(_skip(1))
        file.append(_skip(2))
        disk.room = 10_000
        file.append(_skip(3))
        assert (file.statistics().written, file.statistics().lost) == (2, 2)
    assert list(read_events(path)) == [_skip(0), _skip(3)]


def test_a_log_that_cannot_be_turned_over_is_written_on(path):
    with EventFile(path, max_size=10) as file:
        file.append(_skip(0))
        older(path).mkdir()
        file.append(_skip(1))
        assert file.statistics().lost == 1
        older(path).rmdir()
        file.append(_skip(2))
    assert list(read_events(path)) == [_skip(0), _skip(2)]


def test_a_line_is_ascii_whatever_a_stranger_or_the_file_system_sends(path):
    event = ExchangeFailed(time=1.0, partner="x", outer_step=1, reason="\x1b\x9b \u2028 é \udcff")
    assert to_json(event).isascii()
    assert to_json(event).isprintable()
    with EventFile(path) as file:
        file.append(event)
        file.append(_skip(1))
    assert list(read_events(path))[-1] == _skip(1)


# ---- following


def test_a_log_is_followed_as_it_grows(path):
    with Follower(path) as follower:
        assert follower.read() == []
        with EventFile(path) as file:
            file.append(_skip(0))
            assert follower.read() == [_skip(0)]
            assert follower.read() == []
            for step in (1, 2):
                file.append(_skip(step))
            assert follower.read() == [_skip(1), _skip(2)]


def test_a_line_that_is_not_whole_yet_is_waited_for(path):
    line = to_json(_skip(1)).encode() + b"\n"
    with Follower(path) as follower, path.open("ab", buffering=0) as file:
        file.write(line[:10])
        assert follower.read() == []
        file.write(line[10:])
        assert follower.read() == [_skip(1)]


def test_who_follows_a_long_log_begins_near_its_end(path):
    with EventFile(path) as file:
        for step in range(100):
            file.append(_skip(step))
    with Follower(path, tail=len(to_json(_skip(99))) * 3) as follower:
        assert follower.read() == [_skip(98), _skip(99)]


def test_nothing_is_missed_where_the_log_is_turned_over(path):
    with Follower(path) as follower, EventFile(path, max_size=len(to_json(_skip(10))) * 3) as file:
        told = follower.read()
        for step in range(10, 30):
            file.append(_skip(step))
            if step % 2:
                told += follower.read()
    assert told == [_skip(step) for step in range(10, 30)]


def test_a_damaged_line_does_not_stop_who_follows(path):
    with Follower(path) as follower, path.open("ab") as file:
        file.write(b"x" * (MAX_LINE + 10) + b"\n" + b"{}\n" + to_json(_skip(1)).encode() + b"\n")
        file.flush()
        assert follower.read() == [_skip(1)]
