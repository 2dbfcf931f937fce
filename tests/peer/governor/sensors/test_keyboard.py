"""Terminals, desktops and macOS: who typed last."""

import os

import pytest

from peer.governor.sensors.base import SensorGoneError
from peer.governor.sensors.keyboard import LinuxKeyboard, MacKeyboard, keyboard

NOW = 1_790_000_000.0


class Desk:
    def __init__(self, idle=None):
        self.told = idle

    def idle(self):
        return self.told


def typed(devices, name, ago):
    file = devices / name
    file.parent.mkdir(exist_ok=True)
    file.touch()
    os.utime(file, (NOW - ago, NOW))


@pytest.mark.parametrize(
    ("terminals", "desktop", "idle"),
    [
        ({"pts/3": 90, "pts/11": 40, "tty1": 900}, None, 40),
        ({"tty1": 900, "tty63": 800}, None, 800),
        ({"pts/ptmx": 1, "tty": 1, "ttyS0": 1, "tty0": 1, "tty1": 900}, None, 900),
        ({"pts/3": 90}, 30.0, 30),
        ({"pts/3": 90}, 300.0, 90),
        ({}, 30.0, 30),
        ({"pts/3": -5}, None, 0),
    ],
)
def test_the_last_to_type_counts(tmp_path, terminals, desktop, idle):
    for name, ago in terminals.items():
        typed(tmp_path, name, ago)
    assert LinuxKeyboard(Desk(desktop), tmp_path, lambda: NOW)().idle == pytest.approx(idle)


def test_a_machine_with_neither_is_given_up(tmp_path):
    with pytest.raises(SensorGoneError, match="neither a desktop nor a terminal"):
        LinuxKeyboard(Desk(), tmp_path)()


@pytest.fixture
def ioreg(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))

    def says(text, code=0):
        file = tmp_path / "ioreg"
        file.write_text(f"#!/bin/sh\necho '{text}'\nexit {code}\n")
        file.chmod(0o755)

    return says


def test_macos_counts_in_nanoseconds(ioreg):
    ioreg('    | |   "HIDIdleTime" = 66589625000')
    assert keyboard("darwin")().idle == pytest.approx(66.589625)


def test_macos_without_a_count_is_given_up_and_without_an_answer_asked_again(ioreg):
    ioreg("nothing")
    with pytest.raises(SensorGoneError):
        MacKeyboard()()
    ioreg("", code=1)
    with pytest.raises(OSError, match="does not answer"):
        MacKeyboard()()


def test_on_linux_it_looks_for_desktops_and_terminals():
    assert isinstance(keyboard("linux", {}), LinuxKeyboard)
