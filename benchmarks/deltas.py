"""What replicas exchange: pseudo-gradients and shares of a real run in one process.

Four replicas of the default model train on shards of the embedded text and gossip in fp32, each time with
the next partner.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from peer.outer import mix
from peer.outer.step import Shared, take_outer_step
from peer.trainer import data
from peer.trainer.replica import Replica
from peer.trainer.work import plain
from protocol.manifest import Inner, Manifest, Outer

EVERY = 50
"""H: inner steps of an outer step."""

PARTNERS = (((0, 1), (2, 3)), ((0, 2), (1, 3)), ((0, 3), (1, 2)))


@dataclass(frozen=True, slots=True)
class PairOf:
    """One direction of an exchange.

    Attributes:
        receiver: its number.
        own: the receiver's share, flat float32.
        theirs: the sender's.
    """

    receiver: int
    own: Tensor
    theirs: Tensor


@dataclass(frozen=True, slots=True)
class Round:
    """One outer step of all replicas.

    Attributes:
        inner_steps: that came before it, since the last one.
        deltas: pseudo-gradients by replica.
        shared: what each shares, before the mix.
        partners: who mixed with whom.
        shares: the names of what is shared.
    """

    inner_steps: int
    deltas: tuple[Tensor, ...]
    shared: tuple[Shared, ...]
    partners: tuple[tuple[int, int], ...]
    shares: tuple[str, ...]

    def pairs(self, share: str) -> Iterator[PairOf]:
        """Yield both directions of every exchange of one of `shares`."""
        place = self.shares.index(share)
        for one, other in self.partners:
            for receiver, sender in ((one, other), (other, one)):
                yield PairOf(receiver, self.shared[receiver][place], self.shared[sender][place])


def train(outer_steps: int) -> list[Round]:
    """Train for so many outer steps, and keep everything."""
    manifest = Manifest(
        founder=bytes(32),
        inner=Inner(steps=outer_steps * EVERY),
        outer=Outer(preset="gossip", alpha=0.9, beta=0.7, every=EVERY),
    )
    corpus = data.load(manifest, None, None)
    device = torch.device("cpu")
    replicas = [Replica(manifest, plain(manifest, corpus, shard), device) for shard in range(4)]
    return [_round(replicas, PARTNERS[number % len(PARTNERS)]) for number in range(outer_steps)]


def _round(replicas: list[Replica], partners: tuple[tuple[int, int], ...]) -> Round:
    deltas, shared = [], []
    for replica in replicas:
        for _ in range(EVERY):
            replica.take_inner_step()
        if replica.outer is None:
            raise ValueError("gossip has an outer optimiser")
        deltas.append(replica.theta - replica.outer.phi)
        shared.append(take_outer_step(replica.rule, replica.outer, replica.theta))
    for one, other in partners:
        for own, theirs in ((one, other), (other, one)):
            replica = replicas[own]
            if replica.outer is not None:
                landed = mix.correction(shared[own], shared[theirs])
                mix.apply(replica.rule, replica.outer, replica.theta, landed)
    return Round(EVERY, tuple(deltas), tuple(shared), partners, replicas[0].rule.shares)
