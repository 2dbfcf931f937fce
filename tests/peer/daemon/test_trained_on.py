"""The device of last time."""

import pytest

from peer.cli.main import find
from peer.daemon import trained_on
from peer.daemon.doctor.machine import Seen
from peer.daemon.settings import Remembered, Settings, TrainedOn, recall, remember
from peer.daemon.supervisor import run_daemon
from peer.daemon.trained_on import check_device, recalled, remember_device
from peer.errors import DeviceError
from peer.governor.sensors.find import Device
from protocol.gpu import Gpu

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


# ---- is it here?


@pytest.fixture
def bare(monkeypatch):
    """A machine on which torch sees nothing but the processor."""

    async def inspect(asked):
        return Seen(error=f"this machine has no device {asked!r}", remedy="Use --device auto")

    monkeypatch.setattr(trained_on, "inspect", inspect)


@pytest.mark.anyio
@pytest.mark.parametrize("asked", ["cuda", "cuda:0,cuda:1", "mps"])
async def test_a_device_that_is_not_here_is_refused_before_anything_is_made(tmp_path, bare, asked):
    with pytest.raises(BaseExceptionGroup) as raised:
        await run_daemon(Settings(tmp_path / "home", device=asked))
    assert find(raised.value, DeviceError).message == f"this machine has no device '{asked}'"
    assert not (tmp_path / "home").exists()


@pytest.mark.anyio
async def test_nobody_waits_for_torch_where_the_answer_is_known(tmp_path, bare):
    for always_here in ("auto", "cpu", "cpu,cpu"):
        await check_device(tmp_path, always_here)
    remember_device(tmp_path, "cuda:1", DEVICE)
    await check_device(tmp_path, "cuda:1")
    with pytest.raises(DeviceError):
        await check_device(tmp_path, "cuda:0")
