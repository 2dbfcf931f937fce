"""Batteries and processors."""

from types import SimpleNamespace

import psutil
import pytest

from peer.governor.readings import Measured
from peer.governor.sensors import machine
from peer.governor.sensors.base import SensorGoneError

LAPTOP = {"BAT0": {"type": "Battery", "status": "Discharging"}, "AC": {"type": "Mains", "online": "0"}}
MOUSE = {"hidpp_battery_0": {"type": "Battery", "scope": "Device", "status": "Discharging"}}


@pytest.mark.parametrize(
    ("supplies", "on_battery"),
    [
        ({}, False),
        (LAPTOP, True),
        (LAPTOP | {"AC": {"type": "Mains", "online": "1"}}, False),
        (LAPTOP | {"usb": {"type": "USB", "online": "1"}}, False),
        ({"BAT0": {"type": "Battery", "status": "Not charging"}}, False),
        ({"BAT0": {"type": "Battery", "status": "Full"}, "BAT1": LAPTOP["BAT0"]}, True),
        (MOUSE, False),
        (MOUSE | LAPTOP, True),
        ({"ups": {"type": "UPS", "status": "Discharging"}}, True),
        ({"phone": {"type": "USB", "scope": "Device", "online": "1"}} | LAPTOP, True),
    ],
)
def test_a_machine_is_on_battery_when_its_own_is_emptied_and_nothing_is_plugged_in(
    tmp_path, supplies, on_battery
):
    for name, files in supplies.items():
        (tmp_path / name).mkdir()
        for file, text in files.items():
            (tmp_path / name / file).write_text(f"{text}\n")
    assert machine.battery(tmp_path, "linux").on_battery is on_battery


@pytest.mark.parametrize(
    ("told", "on_battery"),
    [
        (None, False),
        (SimpleNamespace(power_plugged=True), False),
        (SimpleNamespace(power_plugged=None), False),
        (SimpleNamespace(power_plugged=False), True),
    ],
)
def test_elsewhere_psutil_tells(monkeypatch, told, on_battery):
    monkeypatch.setattr(psutil, "sensors_battery", lambda: told)
    assert machine.battery(platform="darwin").on_battery is on_battery


def test_a_processor_is_as_hot_as_its_hottest_core(monkeypatch):
    cores = [SimpleNamespace(current=61.0), SimpleNamespace(current=84.5)]
    told = {"nvme": [SimpleNamespace(current=99.0)], "coretemp": cores}
    monkeypatch.setattr(psutil, "sensors_temperatures", lambda: told, raising=False)
    assert machine.processor_temperature().temperature == (Measured("the processor", 84.5),)


@pytest.mark.parametrize("told", [{}, {"nvme": [SimpleNamespace(current=99.0)]}, {"coretemp": []}])
def test_a_processor_that_does_not_tell_is_given_up(monkeypatch, told):
    monkeypatch.setattr(psutil, "sensors_temperatures", lambda: told, raising=False)
    with pytest.raises(SensorGoneError):
        machine.processor_temperature()


def test_a_system_that_has_no_such_question_is_given_up(monkeypatch):
    monkeypatch.delattr(psutil, "sensors_temperatures", raising=False)
    with pytest.raises(SensorGoneError):
        machine.processor_temperature()
