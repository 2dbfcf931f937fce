"""The memory of a device: how much there is, how much is free, and passes that try how much one takes."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from peer.trainer import host_memory
from peer.trainer.device import give_back_cache

MARGIN = 0.03
"""Of a device's memory: for what others on it, and its driver, take later."""

TOO_HIGH = 1 << 62
"""Bytes in use, where a pass did not fit."""

_MARKS = ("out of memory", "can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED")
"""In messages of MPS, of the CPU's allocator, and of CUDA's libraries, which raise nothing more precise."""

Pass = Callable[[int], object]
"""Takes so many examples forward and backward."""


def is_out_of_memory(error: RuntimeError) -> bool:
    """Return whether an error says that memory has run out."""
    return isinstance(error, torch.OutOfMemoryError) or any(mark in str(error) for mark in _MARKS)


def total(device: torch.device) -> int | None:
    """Return the bytes of memory that training on the device can have; None where nobody says."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    if device.type == "mps":
        return torch.mps.recommended_max_memory()
    return host_memory.total()


def free(device: torch.device) -> int | None:
    """Return the bytes that are free now; None where nobody says."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    if device.type == "mps":
        return max(torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory(), 0)
    return host_memory.available()


def fits(device: torch.device, count: int, work: Pass) -> bool:
    """Try whether so many examples fit, on a device that says when they do not."""
    try:
        work(count)
        _wait(device)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
    else:
        return True
    # Only here does nothing hold the tensors of the pass any more: the error did, with its traceback.
    give_back_cache(device)
    return False


@contextmanager
def spared(device: torch.device, spare: int) -> Iterator[None]:
    """Let this process have so many bytes less of a CUDA device's memory than it could have now."""
    gc.collect()
    torch.cuda.empty_cache()
    everything = torch.cuda.get_device_properties(device).total_memory
    allowed = torch.cuda.get_per_process_memory_fraction(device)
    could = min(allowed * everything, torch.cuda.memory_reserved(device) + torch.cuda.mem_get_info(device)[0])
    torch.cuda.set_per_process_memory_fraction(max(could - spare, 0) / everything, device)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(allowed, device)


def height(device: torch.device, count: int, work: Pass) -> int:
    """Return the most bytes in use while so many examples passed, where all one can do is to measure."""
    # What was freed is kept for the next pass, and would hide what it takes.
    give_back_cache(device)
    if device.type != "mps":
        return host_memory.height(lambda: (work(count), work(count)))
    # The driver holds on to what a pass took until its cache is given back.
    return torch.mps.driver_allocated_memory() if fits(device, count, work) else TOO_HIGH


def in_use(device: torch.device) -> int:
    """Return the bytes in use now, as `height` counts them."""
    give_back_cache(device)
    return torch.mps.driver_allocated_memory() if device.type == "mps" else host_memory.in_use()


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
