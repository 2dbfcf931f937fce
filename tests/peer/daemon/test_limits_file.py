"""`limits.toml` as commands write it, as people edit it, and as a daemon sees it change."""

import os

import pytest

from peer.daemon.limits_file import LARGEST, WatchedLimits, limits_file, read_given, read_limits, write_given
from peer.errors import HomeError, LimitsError
from peer.governor.limits import KEYS, Limits
from peer.governor.per_gpu import PerGpu

GIVEN = {"hours": "22:00-07:00", "pause_on_battery": False, "max_power": 250, "traffic": "50GB"}


def test_without_a_file_the_usual_limits_are_in_force(tmp_path):
    assert read_limits(tmp_path) == Limits()
    assert read_given(tmp_path) == {}


def test_what_is_written_is_read(tmp_path):
    write_given(tmp_path / "new" / "home", GIVEN)
    assert read_given(tmp_path / "new" / "home") == GIVEN
    limits = read_limits(tmp_path / "new" / "home")
    assert (limits.max_power, limits.traffic, limits.pause_on_battery) == (PerGpu(250), 5e10, False)


def test_the_file_explains_every_key_in_lines_that_fit(tmp_path):
    write_given(tmp_path, GIVEN)
    lines = limits_file(tmp_path).read_text().splitlines()
    assert 'hours = "22:00-07:00"               # train only then' in lines
    assert '# disk = "20GB"                     # most for the home' in lines
    assert len([line for line in lines if "=" in line]) == len(KEYS)
    assert max(map(len, lines)) <= 108


def test_every_line_that_is_commented_out_is_right_when_it_is_not(tmp_path):
    write_given(tmp_path, {})
    file = limits_file(tmp_path)
    lines = [line.removeprefix("# ") for line in file.read_text().splitlines() if " = " in line]
    file.write_text("\n".join(lines))
    assert set(read_given(tmp_path)) == set(KEYS)
    assert read_limits(tmp_path).pause_at_keyboard == 300


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"disk = 20", "limits.toml:1: disk: '20' is no size"),
        (b"# mine\n\nupload = '1MB/s'\ndisk = 20\n", "limits.toml:4: disk: '20' is no size"),
        (b"speed = 1", "limits.toml:1: there is no limit 'speed'"),
        (b"[gpu]\nx = 1", "limits.toml:1: there is no limit 'gpu'"),
        (b"disk = ", "limits.toml is no TOML: Invalid value (at end of document)"),
        (b"\xff\xfe", "limits.toml is no TOML"),
        (b"a=" + b"[" * 50_000, "limits.toml is no TOML"),
        (b"# x\n" * LARGEST + b"disk = '1GB'", None),
    ],
    ids=["value", "line", "key", "table", "syntax", "bytes", "nested", "endless"],
)
def test_what_is_wrong_is_one_line_with_the_file(tmp_path, text, message):
    limits_file(tmp_path).write_bytes(text)
    if message is None:
        assert read_limits(tmp_path) == Limits()
        return
    with pytest.raises(LimitsError) as caught:
        read_limits(tmp_path)
    assert message in caught.value.message
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read_and_a_home_that_cannot_be_made(tmp_path):
    limits_file(tmp_path).mkdir()
    with pytest.raises(LimitsError, match="Cannot read"):
        read_limits(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(HomeError):
        write_given(tmp_path / "file" / "home", GIVEN)


def test_a_daemon_sees_that_the_file_changes(tmp_path):
    watched = WatchedLimits(tmp_path)
    assert not watched.changed()
    write_given(tmp_path, GIVEN)
    assert watched.changed()
    assert not watched.changed()
    assert (watched.now.max_power, dict(watched.given)) == (PerGpu(250), GIVEN)
    limits_file(tmp_path).unlink()
    assert watched.changed()
    assert watched.now == Limits()


def test_a_file_that_becomes_wrong_changes_nothing_and_is_told_once(tmp_path):
    write_given(tmp_path, GIVEN)
    watched = WatchedLimits(tmp_path)
    limits_file(tmp_path).write_text("disk = 20")
    with pytest.raises(LimitsError):
        watched.changed()
    assert not watched.changed()
    assert watched.now.max_power == PerGpu(250)
    limits_file(tmp_path).write_text("disk = '20GB'")
    os.utime(limits_file(tmp_path), ns=(1, 1))
    assert watched.changed()
    assert (watched.now.max_power, watched.now.disk) == (None, 2e10)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_what_root_writes_belongs_to_whom_the_home_belongs_to(tmp_path):
    os.chown(tmp_path, 12345, 54321)
    write_given(tmp_path, GIVEN)
    found = limits_file(tmp_path).stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (12345, 54321, 0o600)
