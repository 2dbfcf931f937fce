"""What this host trains on, as the daemon has asked for it."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil
import torch

from peer.errors import DeviceError
from peer.trainer import room
from peer.trainer.checkpoint import Counters
from peer.trainer.device import choose_all, gpus_of, limit_memory, unused
from peer.trainer.fitting import Fitting
from peer.trainer.hardware import all_called
from peer.trainer.notes import Key, Notes
from protocol.codec import digest, encode
from protocol.trainer import Begin, Fitted, Ready


def _allowed(begin: Begin, device: torch.device) -> float | None:
    """Return what may be taken of a GPU's memory."""
    most = begin.gpu_memory
    return most.get(device.index or 0) if isinstance(most, dict) else most


def _for_ranks(begin: Begin, ranks: int) -> float | None:
    """Return what all ranks may take of the machine's memory: not what torchrun has, our parent process."""
    if begin.memory is None or ranks == 1:
        return begin.memory
    return max(begin.memory - psutil.Process(os.getppid()).memory_info().rss, 0.0)


def _unheard(fitted: Fitted) -> None:
    del fitted


@dataclass(frozen=True, slots=True)
class Equipment:
    """Devices that train together.

    Attributes:
        devices: one for each rank.
        name: what they call themselves.
        memory: bytes of the smallest; None where nobody says.
        unused: a GPU that is here, and that nobody asked for.
    """

    devices: tuple[torch.device, ...]
    name: str
    memory: int | None
    unused: str = ""

    @classmethod
    def of(cls, begin: Begin) -> Self:
        """Return the devices that were asked for, never more than there are sequences in a batch.

        Raises:
            DeviceError: one is not here, or this run cannot use several.
        """
        devices = choose_all(begin.device)
        if begin.manifest.outer.preset == "onebyte":
            if "," in begin.device:
                raise DeviceError(
                    f"a run of forward passes (onebyte) uses one device, not {begin.device}",
                    "Name one of them, and start another peer for each other",
                )
            devices = devices[:1]
        devices = devices[: begin.sequences]
        memory = min((known for each in devices if (known := room.total(each)) is not None), default=None)
        return cls(devices, all_called(devices), memory, unused(begin.device, devices))

    def take(self, begin: Begin, rank: int = 0) -> torch.device:
        """Return the device of a rank, of which this process then takes no more memory than it may."""
        device = self.devices[rank]
        limit_memory(device, _allowed(begin, device))
        return device

    def fitting(
        self, begin: Begin, rank: int, weights: int, tell: Callable[[Fitted], None] = _unheard
    ) -> Fitting:
        """Return how many sequences pass through a device at once, as far as the home remembers.

        Args:
            begin: what the daemon asked for.
            rank: whose device.
            weights: bytes of the trained weights that are shared with other peers from there.
            tell: hears what is found.
        """
        device, batch = self.devices[rank], begin.sequences
        run = digest(encode(begin.manifest)).hex()
        sharers = self.devices.count(device)
        on_cpu = device.type == "cpu"
        allowed = begin.memory if on_cpu else begin.gpu_memory
        key = Key(self.name, self.memory, run, batch, begin.micro_batch, allowed, len(self.devices))
        notes = Notes(Path(begin.home), key)
        if begin.out_of_memory and on_cpu and rank == 0 and (most := notes.tried()) is not None:
            notes.write((most + 1) // 2)
        memory = _for_ranks(begin, len(self.devices)) if on_cpu else None
        return Fitting(device, weights, notes, tell, begin.micro_batch, sharers, memory)

    def ready(self, parameters: int, counters: Counters, *, resumed: bool) -> Ready:
        """Return what the daemon is told when training begins."""
        return Ready(
            device=",".join(map(str, self.devices)),
            parameters=parameters,
            inner_step=counters.inner_step,
            outer_step=counters.outer_step,
            tokens=counters.tokens,
            resumed=resumed,
            name=self.name,
            memory=self.memory,
            ranks=len(self.devices),
            gpus=gpus_of(self.devices),
            unused=self.unused,
        )
