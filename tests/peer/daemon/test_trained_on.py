"""The device of last time."""

import pytest

from peer.daemon.settings import Remembered, TrainedOn, recall, remember
from peer.daemon.trained_on import recalled, remember_device
from peer.governor.sensors.find import Device
from protocol.trainer import Gpu

GPU = Gpu(index=1, name="RTX 4090", memory=24, vendor="nvidia", address="0000:01:00.0", uuid="GPU-1")
DEVICE = Device("cuda", (GPU,))


def test_it_is_known_at_the_next_start_beside_all_else(tmp_path):
    remember(tmp_path, Remembered(port=4001))
    remember_device(tmp_path, "auto", DEVICE)
    assert recalled(recall(tmp_path), "auto") == DEVICE
    assert recall(tmp_path).port == 4001


@pytest.mark.parametrize("last", [None, TrainedOn(asked="auto", kind="cuda", gpus=(GPU,))])
def test_where_another_is_asked_for_nothing_is_known(last):
    assert recalled(Remembered(trained_on=last), "cpu") == Device()


def test_a_disk_that_refuses_costs_the_memory_alone(tmp_path):
    (tmp_path / "settings.json").mkdir()
    remember_device(tmp_path, "auto", DEVICE)
    assert recalled(recall(tmp_path), "auto") == Device()
