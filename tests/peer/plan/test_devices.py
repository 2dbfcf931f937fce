import pytest

from peer.errors import UsageError
from peer.plan.devices import DEVICES, find_device


@pytest.mark.parametrize("name", ["rtx 4090", "RTX 4090", "NVIDIA GeForce RTX 4090", "rtx-4090"])
def test_a_device_is_found_as_people_write_it(name):
    assert find_device(name).teraflops == 165.2


def test_an_unknown_one_is_answered_with_its_neighbours():
    with pytest.raises(UsageError, match="Did you mean rtx 4090") as told:
        find_device("rtx 409")
    assert "--flops" in str(told.value)


def test_names_are_unique_and_figures_plausible():
    assert len({device.name for device in DEVICES}) == len(DEVICES)
    for device in DEVICES:
        assert find_device(device.name) is device
        assert 0.01 < device.teraflops / device.watts < 3
