"""What a device is called, by those who made it."""

import platform
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch

APPLE_CHIP = ("/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string")
PATIENCE = 5.0
"""Seconds to wait for the answer."""


def called(device: torch.device) -> str:
    """Return the device's name; builds of torch for AMD's GPUs call them `cuda` too, so theirs says ROCm."""
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
        return f"{name} (ROCm {torch.version.hip})" if torch.version.hip else name
    chip = _chip()
    return f"{chip} GPU" if device.type == "mps" else chip


def all_called(devices: Sequence[torch.device]) -> str:
    """Return the names of several, with how many there are of each."""
    # Several ranks on one CPU are not several CPUs.
    names = Counter(called(each) for each in dict.fromkeys(devices))
    return ", ".join(name if count == 1 else f"{count} x {name}" for name, count in names.items())


def _chip() -> str:
    if sys.platform == "darwin":
        try:
            done = subprocess.run(APPLE_CHIP, capture_output=True, text=True, timeout=PATIENCE, check=True)  # noqa: S603 - fixed
            return done.stdout.strip()
        except (OSError, subprocess.SubprocessError):
            return "Apple"
    return _of_cpuinfo(Path("/proc/cpuinfo")) or platform.processor() or platform.machine()


def _of_cpuinfo(file: Path) -> str:
    try:
        lines = file.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return " ".join(next(named, "").split())
