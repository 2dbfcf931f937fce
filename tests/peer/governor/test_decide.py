"""The decision, as tables: readings, limits, what is held already, and what follows."""

from datetime import datetime
from typing import get_args

import pytest

from peer.governor.decide import wanted
from peer.governor.limits import parse
from peer.governor.readings import GpuUser, GpuUsers, HomeSize, Measured, MonthUse, Readings, merge
from protocol.control import PauseKind

NOON = datetime(2026, 11, 4, 12, 0)  # noqa: DTZ001 - the clock on the wall has no zone


def users(*shares: float, gpu="GPU 0", name="blender") -> GpuUsers:
    return GpuUsers(gpu, tuple(GpuUser(4242 + at, name, share) for at, share in enumerate(shares)))


def hot(value: float) -> Readings:
    return Readings(temperature=(Measured("GPU 0", value, 0),))


def both(first: float, second: float) -> Readings:
    return Readings(temperature=(Measured("GPU 0", first, 0), Measured("GPU 1", second, 1)))


def draws(value: float) -> Readings:
    return Readings(power=(Measured("GPU 1", value, 1),))


BLENDER = {"gpu": "GPU 0 is used by blender (pid 4242)"}
KEYBOARD = {"keyboard": "a person is at the keyboard; goes on 5 min after the last key"}
OVER_MEMORY = (
    "the peer takes 17.0 GB of memory, over the limit of 16.0 GB: "
    "raise it with `peer limits --memory`, or start with a smaller --batch"
)
USED_UP = (
    "the 50.0 GB of traffic for November are used, but for what it takes to stay in touch; "
    "again on 1 December"
)


def month(used: float, left: float = 0.0) -> Readings:
    return Readings(month=MonthUse(int(used), "November", "1 December", left))


TABLE = [
    # readings, limits, held, wanted
    (Readings(), {}, (), {}),
    # another process on the GPU
    (Readings(gpu_users=users(0.6)), {}, (), BLENDER),
    (Readings(gpu_users=users(0.10)), {}, (), BLENDER),
    (Readings(gpu_users=users(0.09)), {}, (), {}),
    (Readings(gpu_users=users(0.09)), {}, ("gpu",), BLENDER),
    (Readings(gpu_users=users(0.09)), {}, ("battery",), {}),
    (Readings(gpu_users=users(0.02)), {}, ("gpu",), {}),
    (Readings(gpu_users=users()), {}, ("gpu",), {}),
    (Readings(gpu_users=users(0.02, 0.5)), {}, (), {"gpu": "GPU 0 is used by blender (pid 4243)"}),
    (Readings(gpu_users=users(0.5, 0.9)), {}, (), BLENDER),
    (Readings(gpu_users=users(0.9)), {"pause_for_others": False}, (), {}),
    (Readings(gpu_users=users(1.0, gpu="GPU 1", name="python3 train.py")), {}, (),
     {"gpu": "GPU 1 is used by python3 train.py (pid 4242)"}),
    # battery
    (Readings(on_battery=True), {}, (), {"battery": "on battery"}),
    (Readings(on_battery=False), {}, ("battery",), {}),
    (Readings(on_battery=True), {"pause_on_battery": False}, (), {}),
    # a person at the keyboard
    (Readings(idle=0.0), {}, (), {}),
    (Readings(idle=299.0), {"pause_at_keyboard": "5min"}, (), KEYBOARD),
    (Readings(idle=300.0), {"pause_at_keyboard": "5min"}, ("keyboard",), {}),
    (Readings(), {"pause_at_keyboard": "5min"}, (), {}),
    # hours
    (Readings(), {"hours": "22:00-07:00"}, (), {"hours": "outside the hours 22:00-07:00; next at 22:00"}),
    (Readings(), {"hours": "sat"}, (), {"hours": "outside the hours sat; next on Saturday at 00:00"}),
    (Readings(), {"hours": "8:00-13:00"}, ("hours",), {}),
    # temperature
    (hot(99), {}, (), {}),
    (hot(80), {"max_temperature": 80}, (), {}),
    (hot(80.6), {"max_temperature": 80}, (), {"temperature": "GPU 0 is at 81 °C, over the limit of 80 °C"}),
    (hot(76), {"max_temperature": 80}, ("temperature",),
     {"temperature": "GPU 0 is at 76 °C, over the limit of 80 °C"}),
    (hot(75), {"max_temperature": 80}, ("temperature",), {}),
    (hot(76), {"max_temperature": 80}, ("gpu",), {}),
    # each GPU has its own
    (both(78, 74), {"max_temperature": "0=80,1=70"}, (),
     {"temperature": "GPU 1 is at 74 °C, over the limit of 70 °C"}),
    (both(84, 72), {"max_temperature": "0=80,1=70"}, (),
     {"temperature": "GPU 0 is at 84 °C, over the limit of 80 °C"}),
    (both(80, 70), {"max_temperature": "0=80,1=70"}, (), {}),
    (both(75, 66), {"max_temperature": "0=80,1=70"}, ("temperature",),
     {"temperature": "GPU 1 is at 66 °C, over the limit of 70 °C"}),
    (both(99, 60), {"max_temperature": "1=70"}, (), {}),
    (both(81, 84), {"max_temperature": 80}, (),
     {"temperature": "GPU 1 is at 84 °C, over the limit of 80 °C"}),
    (Readings(temperature=(Measured("the processor", 99),)), {"max_temperature": "0=80"}, (), {}),
    (draws(287), {"max_power": "0=200,1=300"}, (), {}),
    (draws(287), {"max_power": "0=300,1=200"}, (), {"power": "GPU 1 draws 287 W, over the limit of 200 W"}),
    # power
    (draws(287), {"max_power": 250}, (), {"power": "GPU 1 draws 287 W, over the limit of 250 W"}),
    (draws(250), {"max_power": 250}, (), {}),
    (draws(287), {}, (), {}),
    # caps
    (Readings(memory=17_000_000_000), {"memory": "16GB"}, (),
     {"memory": OVER_MEMORY}),
    (Readings(memory=16_000_000_000), {"memory": "16GB"}, (), {}),
    (Readings(memory_needed=17_000_000_000, memory=1), {"memory": "16GB"}, (),
     {"memory": OVER_MEMORY}),
    (Readings(home=HomeSize(1_500_000_000, 600_000_000)), {"disk": "2GB"}, (),
     {"disk": "the home and its next checkpoint take 2.1 GB, over the limit of 2.0 GB"}),
    (Readings(home=HomeSize(1_500_000_000, 500_000_000)), {"disk": "2GB"}, (), {}),
    (Readings(home=HomeSize(9_500_000_000, 500_000_000)), {}, (), {}),
    (month(50e9), {"traffic": "50GB"}, (), {"data": USED_UP}),
    (month(49.99e9), {"traffic": "50GB"}, (), {}),
    (month(50e9), {}, (), {}),
    (month(49.46e9, left=1e6), {"traffic": "50GB"}, (), {"data": USED_UP}),
    (month(49.44e9, left=1e6), {"traffic": "50GB"}, (), {}),
    (month(49.44e9, left=1e6), {"traffic": "50GB"}, ("data",), {"data": USED_UP}),
    (month(49.34e9, left=1e6), {"traffic": "50GB"}, ("data",), {}),
    (month(0.49e9, left=2.6e6), {"traffic": "1GB"}, (), {}),
    (month(50e9), {"traffic": "51GB"}, ("data",), {}),
]  # fmt: skip


@pytest.mark.parametrize(("readings", "limits", "held", "reasons"), TABLE)
def test_readings_under_limits_want_a_pause_or_none(readings, limits, held, reasons):
    assert wanted(readings, parse(limits), NOON, held) == reasons


def test_everything_at_once_is_told_in_a_fixed_order():
    readings = merge(
        Readings(gpu_users=users(0.9), idle=0.0, on_battery=True, memory=2_000_000),
        month(50e9),
        Readings(
            temperature=(Measured("the CPU", 99),),
            power=(Measured("GPU 0", 999, 0),),
            home=HomeSize(2, 2**40),
        ),
    )
    limits = {
        "hours": "22:00-07:00", "pause_at_keyboard": "1min", "max_temperature": 80, "max_power": 200,
        "memory": "1MB", "disk": "1GB", "traffic": "1GB",
    }  # fmt: skip
    found = list(wanted(readings, parse(limits), NOON, ()))
    assert found == [
        "hours", "battery", "gpu", "keyboard", "temperature", "power", "memory", "disk", "data",
    ]  # fmt: skip
    assert {*found, "hand", "stream"} == set(get_args(PauseKind)), "the person's, and the data's"


def test_of_two_sensors_that_tell_the_same_the_first_counts():
    assert merge(Readings(idle=3.0), Readings(idle=5.0, on_battery=False)) == Readings(
        idle=3.0, on_battery=False
    )
