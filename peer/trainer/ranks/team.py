"""The ranks of one peer, each a process with a device of its own. All collectives are here.

Every method is called by all ranks at the same point and on the thread of its loop: collectives of two
threads could wait for each other for ever.
"""

import inspect
import os
import socket
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from peer.trainer.feed import Batch
from peer.trainer.model import Transformer
from peer.trainer.parts import cut, rows, size, tensors
from peer.trainer.ranks.patience import AT_FIRST
from peer.trainer.ranks.words import FRAME, Step, Word, from_frame, make_room, to_frame

FOREVER = timedelta(days=365)
"""For what the others wait for while a peer pauses, fetches its state or waits for a mix."""

_NEW = "forward_sync_buffers"
_BUFFERS: dict[str, Any] = {
    # Its name before torch 2.13 was another.
    _NEW if _NEW in inspect.signature(DistributedDataParallel).parameters else "broadcast_buffers": False
}
"""Buffers do not follow rank 0's at every pass: those of our models never change."""

_OPEN = "open"
"""The key in the store that says that rank 0 is ready for the others."""


class Team:
    """One rank's membership.

    Words and batches go over gloo, from the host's memory; gradients and weights by the device's own backend.

    Attributes:
        rank: ours, 0 for the one that leads.
        size: of the team.
    """

    def __init__(self, rank: int, size: int, words: dist.ProcessGroup) -> None:
        self.rank = rank
        self.size = size
        self._words = words

    @classmethod
    def join(cls, rank: int, size: int, device: torch.device, meeting: Path) -> Self:
        """Wait until all are here.

        They meet in a file, and talk over the loopback interface: sockets of torch.distributed ask nobody who
        they are, and volunteers' hosts are on the internet.
        """
        _stay_on_this_host()
        store = dist.FileStore(str(meeting), size)  # type: ignore[attr-defined]  # its types hide it
        if rank == 0:
            store.set(_OPEN, "")
        else:
            store.wait([_OPEN], FOREVER)
        on_gpu = device.type == "cuda"
        if on_gpu:
            torch.cuda.set_device(device)
        dist.init_process_group(
            "nccl" if on_gpu else "gloo",
            store=store,
            rank=rank,
            world_size=size,
            timeout=timedelta(seconds=AT_FIRST),
            device_id=device if on_gpu else None,
        )
        words = dist.new_group(backend="gloo", timeout=FOREVER)
        return cls(rank, size, words)

    def leave(self) -> None:
        """End the connections, once all have heard `Leave`."""
        dist.destroy_process_group()

    def together(self, net: nn.Module) -> DistributedDataParallel:
        """Return a net whose backward pass ends with the mean of all ranks' gradients in each."""
        return DistributedDataParallel(
            net,
            **_BUFFERS,
            # All build the same net, and `State` spreads what is trained; not all types can be sent.
            init_sync=False,
            gradient_as_bucket_view=True,
            # Ours uses all its parameters; others may not, and to look costs little beside them.
            find_unused_parameters=not isinstance(net, Transformer),
        )

    def say(self, word: Word) -> None:
        """Say a word to the others: rank 0 alone."""
        dist.broadcast(to_frame(word), 0, group=self._words)

    def hear(self) -> Word:
        """Return what rank 0 says, as soon as it does: all others."""
        frame = torch.empty(FRAME, dtype=torch.uint8)
        dist.broadcast(frame, 0, group=self._words)
        return from_frame(frame)

    def give(self, examples: Batch) -> None:
        """Send a batch, after its `Step`: rank 0 alone."""
        for each in tensors(examples):
            dist.broadcast(_bytes(each.contiguous()), 0, group=self._words)

    def take(self, step: Step) -> Batch:
        """Return the batch that follows a `Step`: all others."""
        examples = make_room(step)
        for each in tensors(examples):
            dist.broadcast(_bytes(each), 0, group=self._words)
        return examples

    def part(self, examples: Batch) -> Batch:
        """Return our own part of a batch; no two ranks' overlap, and together they are all of it.

        Raises:
            ValueError: there are fewer examples than ranks.
        """
        if size(examples) < self.size:
            raise ValueError(f"{size(examples)} examples for {self.size} devices")
        return cut(examples, *rows(size(examples), self.size, self.rank))

    def spread(self, *flat: Tensor) -> None:
        """Give every rank the values of rank 0."""
        for tensor in flat:
            if tensor.numel():
                dist.broadcast(tensor, 0)

    def mean(self, value: Tensor) -> Tensor:
        """Return the mean of a scalar over the ranks."""
        dist.all_reduce(value)
        return value / self.size

    def least(self, number: int) -> int:
        """Return the smallest of the ranks' numbers."""
        value = torch.tensor(number)
        dist.all_reduce(value, dist.ReduceOp.MIN, group=self._words)
        return int(value)


def _bytes(tensor: Tensor) -> Tensor:
    """Return a contiguous tensor's memory as uint8 (bytes,): gloo does not know all types."""
    return tensor.view(-1).view(torch.uint8)


def _stay_on_this_host() -> None:
    loopback = next((name for _, name in socket.if_nameindex() if name.startswith("lo")), "lo")
    os.environ.setdefault("GLOO_SOCKET_IFNAME", loopback)
    os.environ.setdefault("NCCL_SOCKET_IFNAME", f"={loopback}")
