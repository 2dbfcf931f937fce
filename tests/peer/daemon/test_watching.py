"""Sensors that answer, fail, are not there, and hang."""

import threading

import pytest
import trio

from peer.daemon import watching
from peer.daemon.watching import TRIES, Watching
from peer.governor.readings import Readings
from peer.governor.sensors.base import Missing, Sensor, SensorGoneError

pytestmark = pytest.mark.anyio


def sensor(read, key="pause_at_keyboard"):
    return Sensor(key, "the keyboard", read)


def raising(*errors):
    """Return a reader that raises these in turn (None: it answers), and how often it was asked."""
    asked = []

    def read():
        error = errors[min(len(asked), len(errors) - 1)]
        asked.append(error)
        if error is not None:
            raise error
        return Readings(idle=1.0)

    return read, asked


async def test_all_sensors_are_read_and_put_together():
    told = Watching([].append)
    told.watch(
        [sensor(lambda: Readings(idle=3.0)), sensor(lambda: Readings(on_battery=True), "pause_on_battery")]
    )
    assert await told.read() == Readings(idle=3.0, on_battery=True)


async def test_what_is_not_there_is_told_once_and_not_asked_again():
    gone = []
    read, asked = raising(SensorGoneError("no terminal"))
    told = Watching(gone.append)
    for _ in range(3):
        told.watch([sensor(read), Missing("max_power", "no meter")])
        assert await told.read() == Readings()
    assert gone == [
        Missing("max_power", "no meter"),
        Missing("pause_at_keyboard", "nothing tells the keyboard: no terminal"),
    ]
    assert len(asked) == 1


async def test_what_fails_now_and_then_is_asked_again_and_what_fails_each_time_is_not():
    gone = []
    now_and_then, asked = raising(
        OSError("busy"), OSError("busy"), None, OSError("busy"), OSError("busy"), None
    )
    told = Watching(gone.append)
    told.watch([sensor(now_and_then)])
    assert [(await told.read()).idle for _ in range(6)] == [None, None, 1.0, None, None, 1.0]
    never, asked = raising(ZeroDivisionError())
    told.watch([sensor(never)])
    for _ in range(5):
        await told.read()
    assert len(asked) == 3
    assert gone == [Missing("pause_at_keyboard", "nothing tells the keyboard: ZeroDivisionError")]


async def test_what_was_given_up_is_tried_again_once_it_was_not_wanted_for_a_while():
    read, _ = raising(SensorGoneError("no"), None)
    told = Watching([].append)
    told.watch([sensor(read)])
    assert await told.read() == Readings()
    told.watch([])
    told.watch([sensor(read)])
    assert (await told.read()).idle == 1.0


async def test_another_device_gets_another_try():
    read, _ = raising(SensorGoneError("no"), None)
    told = Watching([].append)
    told.watch([sensor(read, "max_power")])
    await told.read()
    told.forget(["max_power"])
    told.watch([sensor(read, "max_power")])
    assert (await told.read()).idle == 1.0


async def test_a_driver_that_hangs_keeps_its_threads_and_nothing_else(monkeypatch):
    monkeypatch.setattr(watching, "PATIENCE", 0.1)
    gone, over = [], threading.Event()
    told = Watching(gone.append)
    told.watch([sensor(lambda: over.wait(60), "max_power"), sensor(lambda: Readings(idle=1.0))])
    try:
        for _ in range(TRIES - 1):
            assert (await told.read()).idle == 1.0
        assert gone == [], "a machine that boots may be slow"
        assert (await told.read()).idle == 1.0
        assert gone == [Missing("max_power", "the keyboard has not answered for 0.1 s")]
        before = trio.current_time()
        assert (await told.read()).idle == 1.0
        assert trio.current_time() - before < 30
        assert (told.statistics().failed, told.statistics().threads) == (TRIES, TRIES)
    finally:
        over.set()


async def test_what_was_replaced_while_it_was_read_takes_nothing_from_its_successor():
    gone = []
    told = Watching(gone.append)

    def late():
        trio.from_thread.run_sync(told.watch, [sensor(lambda: Readings(idle=1.0))])
        raise SensorGoneError("another device's")

    told.watch([sensor(late)])
    assert await told.read() == Readings()
    assert (await told.read()).idle == 1.0
    assert gone == []
