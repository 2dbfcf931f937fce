"""What a home's device draws, by sensors that are put in the place of this machine's."""

import pytest

from peer.daemon import power
from peer.daemon.settings import Remembered, TrainedOn, remember
from peer.governor.readings import Measured, Readings
from peer.governor.sensors.base import Sensor, SensorGoneError
from tests.peer.governor.sensors.test_find import AMD, NVIDIA


@pytest.fixture
def home(tmp_path):
    """A home that has trained on two GPUs."""
    remember(tmp_path, Remembered(trained_on=TrainedOn(asked="cuda", kind="cuda", gpus=(AMD, NVIDIA))))
    return tmp_path


def _sensors(monkeypatch, read):
    def find(limits, device):
        return [Sensor("max_power", "the power draw", lambda: read(device))]

    monkeypatch.setattr(power, "find", find)


def test_what_several_gpus_draw_is_added_up(home, monkeypatch):
    watts = {AMD: 200.0, NVIDIA: 310.5}
    _sensors(
        monkeypatch,
        lambda device: Readings(power=tuple(Measured("GPU", watts[gpu], gpu.index) for gpu in device.gpus)),
    )
    assert power.read_power(home) == 510.5


def _broken(device):
    raise RuntimeError("the driver is gone")


def _not_here(device):
    raise SensorGoneError("no driver")


@pytest.mark.parametrize(
    ("read", "said"),
    [(_broken, "the driver is gone"), (_not_here, "no driver"), (lambda device: Readings(), "nothing tells")],
    ids=["broken", "not here", "silent"],
)
def test_a_sensor_that_does_not_tell_says_why(home, monkeypatch, read, said):
    _sensors(monkeypatch, read)
    with pytest.raises(SensorGoneError, match=said):
        power.read_power(home)


def test_a_processor_has_no_sensor(tmp_path):
    with pytest.raises(SensorGoneError, match="not known"):
        power.read_power(tmp_path)
    remember(tmp_path, Remembered(trained_on=TrainedOn(asked="cpu", kind="cpu")))
    with pytest.raises(SensorGoneError, match="the processor"):
        power.read_power(tmp_path)
