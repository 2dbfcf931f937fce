import os

import psutil
import pytest
import torch
from msgspec.structs import replace

from peer.errors import DeviceError
from peer.trainer import equipment
from peer.trainer.checkpoint import Counters
from peer.trainer.equipment import Equipment
from peer.trainer.notes import FILE
from protocol.trainer import Begin
from tests.peer.trainer.tiny import manifest

CPU = torch.device("cpu")


@pytest.fixture
def begin(tmp_path):
    def begin(device="cpu", preset="noloco", **changes):
        asked = Begin(
            manifest=manifest(preset), peer_id="peer", home=str(tmp_path), spool=str(tmp_path),
            device=device, shard=0, stop_at=None, data_paths=(), tokenizer_path=None,
            weights_path=None, batch=None, state=None,
        )  # fmt: skip
        return replace(asked, **changes)

    return begin


def test_no_more_devices_are_taken_than_a_batch_has_sequences(begin):
    assert Equipment.of(begin("cpu,cpu,cpu")).devices == (CPU, CPU), "the run's batch is 2"
    assert Equipment.of(begin("cpu,cpu,cpu", batch=1)).devices == (CPU,)
    assert Equipment.of(begin("cpu,cpu,cpu", batch=8)).devices == (CPU, CPU, CPU)


def test_forward_passes_alone_use_one_device(begin):
    assert Equipment.of(begin(preset="onebyte")).devices == (CPU,)
    with pytest.raises(DeviceError, match="uses one device, not cpu,cpu"):
        Equipment.of(begin("cpu,cpu", preset="onebyte"))


def test_what_the_daemon_is_told(begin):
    ready = Equipment.of(begin("cpu,cpu")).ready(1000, Counters(inner_step=7, tokens=70), resumed=True)
    assert (ready.device, ready.ranks, ready.parameters) == ("cpu,cpu", 2, 1000)
    assert (ready.inner_step, ready.tokens, ready.resumed) == (7, 70, True)
    assert ready.name
    assert ready.memory is None or ready.memory > 1 << 28


def test_a_home_remembers_for_each_way_to_train(begin, tmp_path):
    def most(**changes):
        asked = begin(batch=8, **changes)
        return Equipment.of(asked).fitting(asked, 0, 0).most

    asked = begin(batch=8)
    Equipment.of(asked).fitting(asked, 0, 0).settle(4, 8, "found")
    assert most() == 4
    assert most(micro_batch=2) is None, "found under another cap"
    assert most(manifest=manifest("solo")) is None
    assert most(memory=1e9) is None, "found with another limit"
    assert most(gpu_memory=0.5) == 4, "that is not of this memory"
    assert most(out_of_memory=True) == 2, "the memory of this host was too small for what it was"
    assert most(out_of_memory=True) == most() == 1
    assert (tmp_path / FILE).exists()


def test_several_ranks_of_one_cpu_remember_apart_from_one_and_halve_once(begin):
    def most(device, rank=0, **changes):
        asked = begin(device, batch=8, **changes)
        return Equipment.of(asked).fitting(asked, rank, 0)

    most("cpu").settle(8, 8, "found")
    most("cpu,cpu").settle(4, 4, "found")
    assert [most("cpu,cpu", rank, out_of_memory=True).most for rank in (0, 1)] == [2, 2]
    assert most("cpu").most == 8


def test_torchrun_takes_a_part_of_what_the_ranks_of_a_cpu_may(begin):
    def allowed(device):
        asked = begin(device, batch=8, memory=1e12)
        return Equipment.of(asked).fitting(asked, 0, 0)._allowed

    assert allowed("cpu") == 1e12
    taken = 1e12 - allowed("cpu,cpu")
    assert taken == pytest.approx(psutil.Process(os.getppid()).memory_info().rss, rel=0.5)
    assert taken > 0


def test_who_was_ended_while_it_tried_what_fits_begins_with_half_of_that(begin):
    asked = begin(batch=8)
    Equipment.of(asked).fitting(asked, 0, 0)._notes.write(4, trying=True)
    assert Equipment.of(asked).fitting(asked, 0, 0).most is None, "it ended for another reason"
    asked = begin(batch=8, out_of_memory=True)
    assert Equipment.of(asked).fitting(asked, 0, 0).most == 2


def test_the_daemon_is_told_of_a_gpu_that_auto_does_not_take(begin, monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    counters = Counters(inner_step=0, tokens=0)
    assert Equipment.of(begin("auto")).ready(1, counters, resumed=False).unused == "mps"
    assert Equipment.of(begin("cpu")).ready(1, counters, resumed=False).unused == ""


def test_each_gpu_may_have_its_own_share_of_its_memory(begin, monkeypatch):
    told = []
    monkeypatch.setattr(equipment, "limit_memory", lambda device, most: told.append(most))
    devices = tuple(torch.device("cuda", number) for number in range(3))
    three = Equipment(devices, "3 x L4", 24 << 30)
    for most in ({0: 0.8, 2: 12e9}, 0.5, None):
        for rank in range(3):
            three.take(begin(gpu_memory=most), rank)
    assert told == [0.8, None, 12e9, 0.5, 0.5, 0.5, None, None, None]
