"""Sessions as logind tells of them, and the clocks of desktops."""

import math
import stat

import pytest

from peer.governor.sensors.desktop import Desktop, Session, milliseconds, parse_session

NOW = 1_790_000_000.0
SESSION = {
    "Id": "2", "Type": "wayland", "Class": "user", "State": "active", "Remote": "no", "LockedHint": "no",
    "IdleHint": "no", "IdleSinceHint": "0",
}  # fmt: skip


def block(**changes):
    return "\n".join(f"{key}={value}" for key, value in (SESSION | changes).items())


@pytest.mark.parametrize(
    ("changes", "idle"),
    [
        ({}, 0.0),
        ({"IdleHint": "yes", "IdleSinceHint": str(int((NOW - 90) * 1e6))}, 90.0),
        ({"IdleHint": "yes", "IdleSinceHint": str(int((NOW + 90) * 1e6))}, 0.0),
        ({"IdleHint": "yes", "IdleSinceHint": ""}, 0.0),
        ({"LockedHint": "yes"}, math.inf),
    ],
)
def test_a_session_at_a_screen_is_as_idle_as_logind_says(changes, idle):
    assert parse_session(block(**changes), NOW) == Session("2", idle)


@pytest.mark.parametrize(
    "changes",
    [{"Type": "tty"}, {"Class": "greeter"}, {"Remote": "yes"}, {"State": "online"}, {"State": "closing"}],
)
def test_who_is_at_no_screen_or_away_from_it_is_none(changes):
    assert parse_session(block(**changes), NOW) is None


@pytest.mark.parametrize("text", ["", "\n\n", "Type", "=\n=", "no such session"])
def test_nonsense_is_none(text):
    assert parse_session(text, NOW) is None


@pytest.mark.parametrize(
    ("said", "seconds"), [("t 12345\n", 12.345), ("4200", 4.2), ("", None), ("error", None), (None, None)]
)
def test_answers_in_milliseconds(said, seconds):
    assert milliseconds(said) == seconds


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """Make programs that say what they are told to, or fail."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()

    def make(name, says=None):
        file = tmp_path / "bin" / name
        file.write_text(
            f"#!/bin/sh\necho asked >> {tmp_path}/{name}\n" + (f"echo '{says}'" if says else "exit 1")
        )
        file.chmod(file.stat().st_mode | stat.S_IXUSR)
        return lambda: len((tmp_path / name).read_text().splitlines()) if (tmp_path / name).exists() else 0

    return make


class Sessions:
    """A logind whose sessions are given."""

    def __init__(self, *told):
        self.told = list(told)

    def sessions(self, now):
        return self.told


def test_gnomes_own_clock_goes_before_what_logind_says(programs):
    programs("busctl", "t 90000")
    assert Desktop({}, Sessions(Session("2", 0.0))).idle() == 90.0


def test_without_a_clock_logind_decides(programs):
    asked = programs("busctl")
    desktop = Desktop({}, Sessions(Session("2", 7.0), Session("3", math.inf)))
    assert [desktop.idle() for _ in range(5)] == [7.0] * 5
    assert asked() == 3, "it is given up"


def test_where_nobody_is_at_a_screen_nothing_is_told(programs):
    assert Desktop({}, Sessions()).idle() is None


def test_a_session_that_comes_brings_another_try(programs):
    asked = programs("busctl")
    sessions = Sessions()
    desktop = Desktop({}, sessions)
    for _ in range(4):
        desktop.idle()
    assert asked() == 3
    programs("busctl", "t 1000")
    sessions.told.append(Session("2", 0.0))
    assert desktop.idle() == 1.0


def test_logind_is_asked_for_every_session(programs, tmp_path):
    (tmp_path / "told").write_text(
        block() + "\n\n" + block(Id="3", Type="tty") + "\n\n" + block(Id="4", LockedHint="yes")
    )
    programs("busctl")
    loginctl = tmp_path / "bin" / "loginctl"
    loginctl.write_text(
        '#!/bin/sh\nif [ "$1" = list-sessions ]; then echo "2 1000 ann seat0 -"; echo "4 1001 bob seat0 -";\n'
        f'else shift $(($# - 2)); [ "$1 $2" = "2 4" ] && /bin/cat {tmp_path}/told; fi\n'
    )
    loginctl.chmod(0o755)
    assert Desktop({}, now=lambda: NOW).idle() == 0.0
