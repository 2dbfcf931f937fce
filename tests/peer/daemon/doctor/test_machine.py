"""Disk, device and memory."""

import shutil
from typing import NamedTuple

import pytest
from msgspec.structs import replace

from peer.daemon import disk
from peer.daemon.doctor.findings import Number
from peer.daemon.doctor.machine import Seen, inspect, look_at_device, look_at_disk
from protocol.foreign import Lora
from protocol.manifest import Manifest
from tests.protocol.test_foreign import BASE

MANIFEST = Manifest(founder=bytes(32))
NEEDED = disk.most(MANIFEST)


@pytest.mark.parametrize(
    ("free", "level"), [(NEEDED, "ok"), (NEEDED - 1, "warning"), (NEEDED // 2 - 1, "failure")]
)
def test_checkpoints_must_fit(tmp_path, monkeypatch, free, level):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**12, 0, free))
    finding = look_at_disk(tmp_path / "not" / "yet" / "there", MANIFEST)
    assert finding.level == level
    assert finding.number == (None if level == "ok" else Number.DISK)
    assert str(tmp_path) in finding.said


def test_the_disk_is_looked_at_before_the_run_is_known(tmp_path):
    assert look_at_disk(tmp_path, None).check == "disk"


class Usage(NamedTuple):
    total: int
    used: int
    free: int


def test_a_device_with_room():
    (finding,) = look_at_device(Seen(device="cuda:0", name="NVIDIA H100", free=80 << 30), MANIFEST)
    assert finding.level == "ok"
    assert "cuda:0 NVIDIA H100" in finding.said


def test_a_gpu_that_auto_does_not_take():
    (finding,) = look_at_device(Seen(device="cpu", name="Apple M2", free=80 << 30, unused="mps"), None)
    assert (finding.level, finding.said.partition(",")[0]) == (
        "ok",
        "cpu Apple M2 (this Mac has a GPU: --device mps)",
    )


def test_a_device_without_room():
    (finding,) = look_at_device(Seen(device="cuda:0", free=1), MANIFEST)
    assert (finding.level, finding.number) == ("warning", Number.MEMORY)


def test_the_model_beneath_adapters_takes_room_too():
    base = replace(BASE, size=10 << 30, lora=Lora())
    manifest = replace(MANIFEST, model=replace(MANIFEST.model, pretrained=base))
    (finding,) = look_at_device(Seen(device="cuda:0", free=10 << 30), manifest)
    assert finding.number == Number.MEMORY


@pytest.mark.anyio
async def test_a_device_that_is_not_there_by_its_own_words():
    (finding,) = look_at_device(await inspect("cuda:99"), None)
    assert (finding.level, finding.number) == ("failure", Number.DEVICE)
    assert "cuda:99" in finding.said
    assert finding.mend
