"""The device that a peer trains on."""

import ctypes

import torch
from torch import Tensor

from peer.errors import DeviceError
from peer.trainer.feed import Batch


def choose(name: str) -> torch.device:
    """Return the device called `name`: `auto` (a GPU where there is one), `cpu`, `mps`, `cuda` or `cuda:1`.

    Raises:
        DeviceError: there is no such device here.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise DeviceError(
            f"{name!r} is not a device", "Use auto, cpu, mps, cuda or cuda:<number>."
        ) from error
    if not _is_here(device):
        found = torch.cuda.device_count() if torch.cuda.is_available() else 0
        raise DeviceError(
            f"this machine has no device {name!r}; torch sees {found} CUDA devices",
            "Use --device auto, or install a torch build and a driver for the device.",
        )
    return device


def _is_here(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count()
    if device.type == "mps":
        return torch.backends.mps.is_available()
    return device.type == "cpu" and not device.index


def give_back_cache(device: torch.device) -> None:
    """Let other programs have the memory that is kept for the next step. Takes nothing from the state."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):  # glibc's, which our daemon tells to keep all
        trim(0)


def upload(batch: Batch, device: torch.device) -> Batch:
    """Return `batch` on `device`; the copy to a GPU runs beside the host."""
    if isinstance(batch, tuple):
        return tuple(_upload(part, device) for part in batch)
    if isinstance(batch, dict):
        return {name: _upload(part, device) for name, part in batch.items()}
    return _upload(batch, device)


def _upload(batch: Tensor, device: torch.device) -> Tensor:
    if device.type == "cuda":
        return batch.pin_memory().to(device, non_blocking=True)
    return batch.to(device)
