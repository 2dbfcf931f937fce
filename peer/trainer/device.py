"""The devices that a peer trains on."""

import ctypes
from collections.abc import Sequence

import torch
from torch import Tensor

from peer.errors import DeviceError
from peer.trainer.feed import Batch
from protocol.gpu import Gpu

NAMES = "auto, cpu, mps, cuda or cuda:<number>"


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
        raise DeviceError(f"{name!r} is not a device", f"Use {NAMES}.") from error
    if not _is_here(device):
        found = torch.cuda.device_count() if torch.cuda.is_available() else 0
        raise DeviceError(
            f"this machine has no device {name!r}; torch sees {found} CUDA devices",
            "Use --device auto, or install a torch build and a driver for the device.",
        )
    return device


def choose_all(names: str) -> tuple[torch.device, ...]:
    """Return the devices that train together: those named, with commas between them.

    `auto` and `cuda` are all CUDA devices that are like the first, which is the fastest: a slower one would
    have the others wait for it. `cpu,cpu` is two processes on the CPU.

    Raises:
        DeviceError: one is not here, or they cannot train together.
    """
    if names in ("auto", "cuda"):
        first = choose(names)
        return _alike() if first.type == "cuda" else (first,)
    devices = tuple(choose(name.strip()) for name in names.split(","))
    if len(devices) > 1:
        _check(devices, names)
    return devices


def unused(names: str, devices: Sequence[torch.device]) -> str:
    """Return a GPU that is here and that `auto` does not take: `mps`, or nothing."""
    on_cpu = all(device.type == "cpu" for device in devices)
    return "mps" if names == "auto" and on_cpu and torch.backends.mps.is_available() else ""


def _alike() -> tuple[torch.device, ...]:
    kinds = [_kind(number) for number in range(torch.cuda.device_count())]
    alike = [torch.device("cuda", number) for number, kind in enumerate(kinds) if kind == kinds[0]]
    return tuple(alike) if torch.distributed.is_nccl_available() else tuple(alike[:1])


def _kind(number: int) -> tuple[str, int]:
    found = torch.cuda.get_device_properties(number)
    return found.name, found.total_memory


def _check(devices: tuple[torch.device, ...], names: str) -> None:
    kinds = {device.type for device in devices}
    if len(kinds) > 1 or kinds == {"mps"} or None in {each.index for each in devices if each.type == "cuda"}:
        raise DeviceError(f"the devices {names} cannot train together", "Name GPUs by number: cuda:0,cuda:1")
    if kinds == {"cuda"} and len(set(devices)) < len(devices):
        raise DeviceError(f"{names} names a device twice", "Name each GPU once")
    if kinds == {"cuda"} and not torch.distributed.is_nccl_available():
        raise DeviceError("this build of torch has no NCCL, so that GPUs cannot train together", "Name one")


def _is_here(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count()
    if device.type == "mps":
        return torch.backends.mps.is_available()
    return device.type == "cpu" and not device.index


def limit_memory(device: torch.device, most: float | None) -> None:
    """Let torch take no more of the GPU's memory: a share where `most` is 1 or less, otherwise bytes."""
    if most is None or device.type == "cpu":
        return
    if device.type == "mps":
        whole = torch.mps.recommended_max_memory()
        torch.mps.set_per_process_memory_fraction(_share(most, whole))
    else:
        whole = torch.cuda.get_device_properties(device).total_memory
        torch.cuda.set_per_process_memory_fraction(_share(most, whole), device)


def _share(most: float, whole: int) -> float:
    return min(most if most <= 1 else most / whole, 1.0)


def gpus_of(devices: Sequence[torch.device]) -> tuple[Gpu, ...]:
    """Return the GPUs among devices that are NVIDIA's or AMD's, as other programs here know them."""
    return tuple(_gpu(device) for device in devices if device.type == "cuda")


def _gpu(device: torch.device) -> Gpu:
    index = torch.cuda.current_device() if device.index is None else device.index
    known = torch.cuda.get_device_properties(index)
    uuid = str(getattr(known, "uuid", ""))
    return Gpu(
        index=index,
        name=known.name,
        memory=known.total_memory,
        vendor="amd" if torch.version.hip else "nvidia",
        address=_pci_address(known),
        uuid=uuid if uuid.startswith("GPU-") or not uuid else f"GPU-{uuid}",
    )


def _pci_address(known: object) -> str:
    """Return where a card is plugged in, as the kernel writes it."""
    bus, card = getattr(known, "pci_bus_id", None), getattr(known, "pci_device_id", None)
    if bus is None or card is None:
        return ""
    return f"{getattr(known, 'pci_domain_id', 0):04x}:{bus:02x}:{card:02x}.0"


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
