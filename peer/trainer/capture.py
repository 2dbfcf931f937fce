"""The state that a newcomer gets: a snapshot between two inner steps, and its file."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from peer.trainer import spool
from peer.trainer.replica import Replica
from protocol.trainer import Captured, State


@dataclass(frozen=True, slots=True)
class Snapshot:
    """φ and m, flat fp32 in the host's memory, with the progress that φ stands for."""

    phi: Tensor
    momentum: Tensor
    inner_step: int
    outer_step: int
    tokens: int

    def write(self, folder: Path) -> Captured:
        """Write it to a new file of the spool folder.

        Raises:
            CodecError: a value is not finite.
            OSError: the disk refused.
        """
        target = spool.fresh(folder, "state")
        size, hashes = spool.write_state(target, (self.phi, self.momentum))
        state = State(
            file=target.name, inner_step=self.inner_step, outer_step=self.outer_step, tokens=self.tokens
        )
        return Captured(state=state, size=size, hashes=hashes)


@torch.no_grad()
def capture(replica: Replica) -> Snapshot:
    """Copy φ and m; the progress is that of the last boundary of any fragment.

    The other fragments of φ are as old as their own last boundaries: up to H inner steps older.
    """
    now, outer = replica.counters, replica.outer
    since = 0 if outer is None else min(map(replica.steps_since, replica.fragments))
    return Snapshot(
        phi=(replica.theta if outer is None else outer.phi).to("cpu", copy=True),
        momentum=torch.zeros(replica.theta.numel()) if outer is None else outer.momentum.to("cpu", copy=True),
        inner_step=now.inner_step - since,
        outer_step=now.outer_step,
        tokens=now.tokens - since * replica.tokens_per_step,
    )
