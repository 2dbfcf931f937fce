from types import SimpleNamespace

import pytest
import torch

from peer.errors import DeviceError
from peer.trainer.device import choose, choose_all, gpus_of, limit_memory, unused, upload


def test_auto_is_a_gpu_where_there_is_one():
    assert choose("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert choose("cpu") == torch.device("cpu")


@pytest.mark.parametrize("has_one", [True, False])
def test_a_gpu_of_a_mac_is_left_alone_by_auto_and_told_of(monkeypatch, has_one):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: has_one)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    devices = choose_all("auto")
    assert devices == (torch.device("cpu"),)
    assert unused("auto", devices) == ("mps" if has_one else "")
    assert unused("cpu", devices) == "", "who asks for the CPU knows"
    assert unused("auto", (torch.device("cuda:0"),)) == ""


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
    (gpu,) = gpus_of([torch.device("cuda:1")])
    assert (gpu.index, gpu.name, gpu.memory, gpu.address) == (1, "RTX 4090", 24 * 10**9, address)
    assert (gpu.vendor, gpu.uuid, asked) == ("nvidia", "GPU-1-2", [1])


def test_a_processor_is_no_gpu():
    assert gpus_of([torch.device("cpu")] * 2) == ()


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


# ---- several


@pytest.fixture
def gpus(monkeypatch):
    """A machine with such GPUs, by name and memory."""

    def have(*kinds, nccl=True):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: len(kinds))
        known = [SimpleNamespace(name=name, total_memory=memory) for name, memory in kinds]
        monkeypatch.setattr(torch.cuda, "get_device_properties", known.__getitem__)
        monkeypatch.setattr(torch.distributed, "is_nccl_available", lambda: nccl)

    return have


def cuda(*numbers):
    return tuple(torch.device("cuda", number) for number in numbers)


@pytest.mark.parametrize("name", ["auto", "cuda"])
def test_all_gpus_that_are_alike_train_together(gpus, name):
    gpus(("L4", 24), ("L4", 24))
    assert choose_all(name) == cuda(0, 1)
    gpus(("L4", 24), ("GT 710", 2), ("L4", 24), ("L4", 48))
    assert choose_all(name) == cuda(0, 2)
    gpus(("L4", 24), ("L4", 24), nccl=False)
    assert choose_all(name) == cuda(0)


def test_those_that_are_named_train_together_whatever_they_are(gpus):
    gpus(("L4", 24), ("GT 710", 2), ("L4", 24))
    assert choose_all("cuda:1") == cuda(1)
    assert choose_all("cuda:2,cuda:1") == cuda(2, 1)
    assert choose_all("cuda:0, cuda:1") == cuda(0, 1)


@pytest.mark.parametrize(
    ("names", "why"),
    [
        ("cuda:0,cuda:0", "twice"),
        ("cuda:0,cpu", "cannot train together"),
        ("cuda,cuda", "cannot train together"),
        ("cuda:0,cuda:7", "no device"),
        ("cuda:0,", "is not a device"),
    ],
)
def test_those_that_cannot_train_together_are_refused(gpus, names, why):
    gpus(("L4", 24), ("L4", 24))
    with pytest.raises(DeviceError, match=why):
        choose_all(names)


def test_gpus_without_nccl_cannot_train_together(gpus):
    gpus(("L4", 24), ("L4", 24), nccl=False)
    with pytest.raises(DeviceError, match="NCCL"):
        choose_all("cuda:0,cuda:1")


def test_two_processes_on_the_cpu():
    assert choose_all("cpu,cpu") == (torch.device("cpu"),) * 2
    assert choose_all("cpu") == (torch.device("cpu"),)
