import platform
import subprocess
import sys

import pytest
import torch

from peer.trainer import hardware
from peer.trainer.hardware import all_called, called

CPU, GPUS = torch.device("cpu"), [torch.device("cuda", number) for number in range(3)]


@pytest.fixture
def gpus(monkeypatch):
    names = ["NVIDIA L4", "NVIDIA L4", "NVIDIA T4"]
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: names[device.index])


def test_gpus_are_called_as_their_makers_call_them(gpus, monkeypatch):
    monkeypatch.setattr(torch.version, "hip", None)
    assert called(GPUS[2]) == "NVIDIA T4"
    assert all_called(GPUS[:2]) == "2 x NVIDIA L4"
    assert all_called(GPUS) == "2 x NVIDIA L4, NVIDIA T4"


def test_a_build_for_amd_says_so(monkeypatch):
    monkeypatch.setattr(torch.version, "hip", "6.4.43484")
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "AMD Radeon RX 7900 XTX")
    assert called(GPUS[0]) == "AMD Radeon RX 7900 XTX (ROCm 6.4.43484)"


def test_a_mac(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(
        subprocess, "run", lambda command, **_: subprocess.CompletedProcess(command, 0, "Apple M2 Max\n")
    )
    assert called(torch.device("mps")) == "Apple M2 Max GPU"
    assert called(CPU) == "Apple M2 Max"


def test_two_processes_on_one_cpu_are_no_two_cpus(monkeypatch):
    monkeypatch.setattr(hardware, "_chip", lambda: "Some CPU")
    assert all_called([CPU, CPU]) == "Some CPU"


def test_a_cpu_that_linux_names(tmp_path):
    file = tmp_path / "cpuinfo"
    file.write_text("processor\t: 0\nmodel name\t: Intel(R)  Core(TM) i7\nmodel name\t: other\n")
    assert hardware._of_cpuinfo(file) == "Intel(R) Core(TM) i7"
    assert hardware._of_cpuinfo(tmp_path / "absent") == ""


def test_a_cpu_that_nobody_names_is_called_by_its_kind(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(hardware, "_of_cpuinfo", lambda file: "")
    assert called(CPU) in (platform.processor(), platform.machine())
