"""Disk, device and memory."""

import shutil
from typing import NamedTuple

import pytest

from peer.daemon.doctor import machine
from peer.daemon.doctor.findings import Number
from peer.daemon.doctor.machine import CHECKPOINTS, Seen, look_at_device, look_at_disk
from protocol.manifest import Manifest
from protocol.sizes import state_bytes

MANIFEST = Manifest(founder=bytes(32))
NEEDED = 2 * CHECKPOINTS * state_bytes(MANIFEST)


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


def _sees(monkeypatch, **seen):
    async def inspect(name):
        return Seen(**seen)

    monkeypatch.setattr(machine, "_inspect", inspect)


@pytest.mark.anyio
async def test_a_device_with_room(monkeypatch):
    _sees(monkeypatch, device="cuda:0", name="NVIDIA H100", free=80 << 30)
    (finding,) = await look_at_device("auto", MANIFEST)
    assert finding.level == "ok"
    assert "cuda:0 NVIDIA H100" in finding.said


@pytest.mark.anyio
async def test_a_device_without_room(monkeypatch):
    _sees(monkeypatch, device="cuda:0", free=1)
    (finding,) = await look_at_device("auto", MANIFEST)
    assert (finding.level, finding.number) == ("warning", Number.MEMORY)


@pytest.mark.anyio
async def test_a_device_that_is_not_there_by_its_own_words():
    (finding,) = await look_at_device("cuda:99", None)
    assert (finding.level, finding.number) == ("failure", Number.DEVICE)
    assert "cuda:99" in finding.said
    assert finding.mend
