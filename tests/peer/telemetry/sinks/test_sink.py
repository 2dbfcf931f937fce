"""A sink in its thread: what it may do to those who feed it, which is nothing."""

import threading

from peer.telemetry.sinks import sink as module
from peer.telemetry.sinks.sink import SinkThread


class _Kept:
    """Keeps what it is given."""

    def __init__(self):
        self.points = []
        self.closed = False

    def write(self, moment, step, values):
        assert moment > 1e9
        self.points.append((step, values))

    def close(self):
        self.closed = True


def test_points_come_in_order_and_all_before_the_end():
    kept = _Kept()
    thread = SinkThread("kept", lambda: kept)
    for step in range(100):
        thread.put(step, {"loss": 1.0})
    assert thread.close(30)
    assert kept.points == [(step, {"loss": 1.0}) for step in range(100)]
    assert kept.closed
    assert (thread.statistics().written, thread.statistics().dropped) == (100, 0)
    assert thread.statistics().failure is None


def test_one_that_does_not_open_says_why_and_holds_nobody_up():
    def broken():
        raise RuntimeError("nobody has logged in")

    thread = SinkThread("broken", broken)
    assert thread.close(30)
    assert thread.statistics().failure == "RuntimeError: nobody has logged in"
    thread.put(1, {})


def test_one_that_fails_on_the_way_is_left_alone(monkeypatch):
    kept = _Kept()
    monkeypatch.setattr(kept, "close", lambda: 1 / 0)
    thread = SinkThread("kept", lambda: kept)
    thread.put(1, {"loss": 1.0})
    assert thread.close(30)
    assert thread.statistics().failure == "ZeroDivisionError: division by zero"


def test_one_that_wants_the_process_to_exit_only_ends_itself():
    def leaving():
        raise SystemExit(1)

    thread = SinkThread("leaving", leaving)
    assert thread.close(30)
    assert thread.statistics().failure == "SystemExit: 1"


def test_one_that_hangs_neither_takes_memory_without_bound_nor_holds_up_the_end(monkeypatch):
    monkeypatch.setattr(module, "MOST_WAITING", 3)
    free = threading.Event()
    hanging = _Kept()
    hanging.write = lambda *_: free.wait(30)
    thread = SinkThread("hanging", lambda: hanging)
    for step in range(10):
        thread.put(step, {})
    assert thread.statistics().dropped >= 6
    assert not thread.close(0.01)
    free.set()
