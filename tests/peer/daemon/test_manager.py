"""What a service manager hears, on a real socket of the kind that systemd listens on."""

import os
import socket

import pytest
import trio
from trio.testing import MockClock

from peer.daemon.manager import ALIVE, READY, keep_alive, tell_manager


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path, monkeypatch):
    """A manager's socket, that our environment names."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.setblocking(False)
        if request.param == "path":
            address = name = str(tmp_path / "notify")
        else:
            address, name = f"\0murmuration-{os.getpid()}", f"@murmuration-{os.getpid()}"
        listening.bind(address)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        yield listening


def test_a_manager_hears_the_state(manager):
    tell_manager(READY)
    assert manager.recv(100) == b"READY=1"


def test_without_a_manager_nothing_happens(monkeypatch, tmp_path):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    tell_manager(READY)
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    tell_manager(READY)


def test_a_manager_that_does_not_read_holds_nobody_up(manager):
    for _ in range(10_000):
        tell_manager(ALIVE)


def test_the_watchdog_hears_twice_in_its_time_that_the_loop_turns(manager, monkeypatch):
    monkeypatch.setenv("WATCHDOG_USEC", "30000000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))

    async def a_minute():
        with trio.move_on_after(59):
            await keep_alive()

    trio.run(a_minute, clock=MockClock(autojump_threshold=0))
    heard = [manager.recv(100) for _ in range(4)]
    assert heard == [b"WATCHDOG=1"] * 4
    with pytest.raises(BlockingIOError):
        manager.recv(100)


@pytest.mark.parametrize(("period", "pid"), [("", ""), ("soon", ""), ("1000", "1")])
def test_whom_no_watchdog_watches_ends_at_once(period, pid, monkeypatch):
    monkeypatch.setenv("WATCHDOG_USEC", period)
    monkeypatch.setenv("WATCHDOG_PID", pid)
    trio.run(keep_alive)
