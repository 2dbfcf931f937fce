from types import SimpleNamespace

import pytest
import torch

from peer.errors import DeviceError
from peer.trainer.device import choose, gpus_of, limit_memory, upload


def test_auto_is_a_gpu_where_there_is_one():
    assert choose("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert choose("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["cuda:99", "meta", "cpu:3", "toaster", ""])
def test_what_is_not_here_is_refused(name):
    with pytest.raises(DeviceError):
        choose(name)


def test_upload_keeps_the_batch():
    batch = torch.arange(6).view(2, 3)
    device = choose("auto")
    there = upload(batch, device)
    assert there.device.type == device.type
    assert there.tolist() == batch.tolist()


CARD = {"name": "RTX 4090", "total_memory": 24 * 10**9, "uuid": "1-2"}


@pytest.mark.parametrize(
    ("more", "address"),
    [({"pci_domain_id": 0, "pci_bus_id": 0xA1, "pci_device_id": 0}, "0000:a1:00.0"), ({}, "")],
    ids=["this torch tells", "an older torch"],
)
def test_a_gpu_is_told_by_where_it_is_plugged_in(monkeypatch, more, address):
    asked = []
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda at: asked.append(at) or SimpleNamespace(**CARD, **more)
    )
    (gpu,) = gpus_of(torch.device("cuda:1"))
    assert (gpu.index, gpu.name, gpu.memory, gpu.address) == (1, "RTX 4090", 24 * 10**9, address)
    assert (gpu.vendor, gpu.uuid, asked) == ("nvidia", "GPU-1-2", [1])


def test_a_processor_is_no_gpu():
    assert gpus_of(torch.device("cpu")) == ()


@pytest.mark.parametrize(
    ("most", "share"),
    [(0.8, 0.8), (12e9, 0.5), (99e9, 1.0), (None, None)],
    ids=["share", "bytes", "all", "no limit"],
)
def test_torch_is_told_what_it_may_take_of_the_memory(monkeypatch, most, share):
    told = []
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(**CARD))
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", lambda share, _: told.append(share))
    limit_memory(torch.device("cuda:0"), most)
    limit_memory(torch.device("cpu"), most)
    assert told == ([] if share is None else [share])
