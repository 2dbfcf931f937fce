"""Which limits need which sensors, on which devices."""

import os

import pytest

from peer.governor.limits import parse
from peer.governor.readings import Readings
from peer.governor.sensors.base import Missing, Sensor
from peer.governor.sensors.find import Device, find
from protocol.gpu import Gpu

NVIDIA = Gpu(index=1, name="", memory=1, vendor="nvidia", address="0000:01:00.0", uuid="")
AMD = Gpu(index=0, name="", memory=1, vendor="amd", address="0000:03:00.0", uuid="")
NOWHERE = Gpu(index=0, name="", memory=1, vendor="amd", address="", uuid="")
OF_GPU = {"max_temperature": 80, "max_power": 250}
OF_OTHERS = {"max_temperature": "1=80,2=70", "max_power": "1=250", "gpu_memory": "1=80%"}
QUIET = {"pause_on_battery": False, "pause_for_others": False}
ASTRAY = "no: it names no GPU that this peer trains on"


def watched(limits, device):
    """Return what watches each key: a sensor's words, or why there is none."""
    found = find(parse(limits), device)
    return {
        each.serves if isinstance(each, Sensor) else each.key: (
            each.what if isinstance(each, Sensor) else f"no: {each.reason}"
        )
        for each in found
    }


@pytest.mark.parametrize(
    ("limits", "device", "wanted"),
    [
        ({}, Device(), {"pause_on_battery": "the battery"}),
        ({"pause_on_battery": False}, Device("cpu"), {}),
        (OF_GPU, Device(), {"pause_on_battery": "the battery"}),
        (
            {"pause_on_battery": False, "pause_at_keyboard": "5min", "memory": "1GB"},
            Device(),
            {"pause_at_keyboard": "the keyboard", "memory": "the memory of daemon and trainer"},
        ),
        (
            {"pause_on_battery": False} | OF_GPU,
            Device("cpu"),
            {
                "max_temperature": "the temperature of the processor",
                "max_power": "no: nothing here tells the power draw of the processor",
            },
        ),
        (
            {"pause_on_battery": False} | OF_GPU,
            Device("cuda", (NVIDIA,)),
            {
                "max_power": "the power draw of GPU 1",
                "max_temperature": "the temperature of GPU 1",
                "pause_for_others": "the other users of GPU 1",
            },
        ),
        (
            {"pause_on_battery": False, "max_power": 9999},
            Device("cuda", (AMD,)),
            {"max_power": "the power draw of GPU 0", "pause_for_others": "the other users of GPU 0"},
        ),
        (
            {"pause_on_battery": False},
            Device("cuda", (NOWHERE,)),
            {"pause_for_others": "no: nothing here tells the other users of GPU 0"},
        ),
        (
            {"pause_on_battery": False, "max_temperature": 80},
            Device("mps"),
            {
                "max_temperature": "no: nothing here tells the temperature of Apple's GPU",
                "pause_for_others": "the other users of Apple's GPU",
            },
        ),
        ({"pause_on_battery": False, "pause_for_others": False}, Device("mps"), {}),
        # limits that name GPUs
        (QUIET | OF_OTHERS, Device("cpu"), dict.fromkeys(OF_OTHERS, ASTRAY)),
        (QUIET | OF_OTHERS, Device("cuda", (AMD,)), dict.fromkeys(OF_OTHERS, ASTRAY)),
        (
            QUIET | OF_OTHERS,
            Device("cuda", (AMD, NVIDIA)),
            {
                "max_temperature": "the temperature of GPU 0 and GPU 1",
                "max_power": "the power draw of GPU 0 and GPU 1",
            },
        ),
        (QUIET | {"gpu_memory": "1=80%"}, Device("mps"), {"gpu_memory": ASTRAY}),
        (QUIET | {"gpu_memory": "0=80%"}, Device("mps"), {}),
        (QUIET | {"gpu_memory": "80%"}, Device("cpu"), {}),
        (QUIET | {"gpu_memory": "1=80%"}, Device("cuda"), {}),
        (QUIET | {"gpu_memory": "1=80%"}, Device(), {}),
    ],
)
def test_each_limit_has_its_sensor_or_the_reason_why_not(limits, device, wanted):
    assert watched(limits, device) == wanted


def test_memory_is_that_of_the_daemon_and_of_what_it_has_started(monkeypatch):
    monkeypatch.setattr("peer.governor.sensors.find.memory_of", {os.getpid(): 5_000_000}.get)
    (sensor,) = find(parse({"pause_on_battery": False, "memory": "1GB"}), Device())
    assert sensor.read() == Readings(memory=5_000_000)


def test_what_is_missing_says_which_limit_it_is():
    found = find(parse({"pause_on_battery": False, "max_power": 100}), Device("cpu"))
    assert found == [Missing("max_power", "nothing here tells the power draw of the processor")]


@pytest.mark.parametrize(
    ("names", "kind"), [("cuda:0,cuda:1", "cuda"), ("cpu,cpu", "cpu"), ("cuda:3", "cuda"), ("mps", "mps")]
)
def test_devices_that_train_together_are_of_one_kind(names, kind):
    assert Device.of(names, (NVIDIA,)) == Device(kind, (NVIDIA,))
