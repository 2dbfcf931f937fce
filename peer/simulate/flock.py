"""Brings up simulated peers: the real swarm code over memory links, each with a toy learner."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypedDict, Unpack

import trio

from peer.simulate.lanes import simulated_lanes
from peer.simulate.learner import ToyLearner
from peer.simulate.network import MemoryTransport, Network
from peer.swarm.bulk import Bulk
from peer.swarm.exchange import Outcome
from peer.swarm.horizon import Split
from peer.swarm.line import Line
from peer.swarm.objects import ObjectStore
from peer.swarm.reachability import ReachStatistics
from peer.swarm.swarm import Ladder, Run, Swarm
from protocol.identity import Identity
from protocol.manifest import Manifest, sign
from protocol.rules import PAIR


@dataclass(slots=True)
class Record:
    """What one simulated peer was told: the observer of its swarm."""

    outcomes: list[Outcome] = field(default_factory=list)
    skips: list[tuple[int, str]] = field(default_factory=list)
    changes: list[tuple[str, str]] = field(default_factory=list)
    refusals: list[tuple[str, list[str]]] = field(default_factory=list)
    guests: list[tuple[str, int]] = field(default_factory=list)
    splits: list[Split] = field(default_factory=list)
    reaches: list[ReachStatistics] = field(default_factory=list)

    def exchange_ended(self, outcome: Outcome) -> None:
        """See `Observer`."""
        self.outcomes.append(outcome)

    def skipped(self, outer_step: int, reason: str) -> None:
        """See `Observer`."""
        self.skips.append((outer_step, reason))

    def peer_changed(self, peer_id: str, what: str) -> None:
        """See `Observer`."""
        self.changes.append((peer_id, what))

    def manifest_refused(self, peer_id: str, fields: list[str]) -> None:
        """See `Observer`."""
        self.refusals.append((peer_id, fields))

    def state_served(self, peer_id: str, size: int) -> None:
        """See `Observer`."""
        self.guests.append((peer_id, size))

    def split_noticed(self, split: Split) -> None:
        """See `Observer`."""
        self.splits.append(split)

    def reach_changed(self, reach: ReachStatistics) -> None:
        """See `Observer`."""
        self.reaches.append(reach)


@dataclass(slots=True)
class Bird:
    """One simulated peer."""

    identity: Identity
    transport: MemoryTransport
    swarm: Swarm
    learner: ToyLearner
    record: Record
    bulk: Bulk | None = None
    """Its lanes, where it has any."""
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)

    async def fly(self) -> None:
        """Run until cancelled."""
        with self.scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.transport.serve)
                nursery.start_soon(self.swarm.run)
                nursery.start_soon(self.learner.run)
                if self.bulk is not None:
                    nursery.start_soon(self.bulk.run)


class Options(TypedDict, total=False):
    """What a toy learner may be told; see there."""

    outer_steps: int
    waits: bool
    padding: int
    times: int
    fails: float
    fails_twice: bool
    thinks: float
    begins: float
    drift: float
    learns: float
    reach: float


class Flock:
    """A swarm on one virtual clock. The first bird founds the run; others join through those named."""

    def __init__(self, folder: Path, manifest: Callable[[bytes], Manifest], *, seed: int = 0) -> None:
        self.folder = folder
        self.network = Network(seed=seed)
        founder = _identity(0)
        self._manifest = manifest(founder.public_key)
        self._sealed = sign(self._manifest, founder)
        self.run_id = self._sealed.run_id
        self.birds: list[Bird] = []

    def hatch(
        self,
        *,
        through: tuple[Bird, ...] = (),
        seconds: float = 1.0,
        ladder: Ladder = Ladder(),  # noqa: B008 - frozen
        lanes: bool = False,
        **options: Unpack[Options],
    ) -> Bird:
        """Make a bird that bootstraps through others and takes an outer step every `seconds`.

        With `lanes` its bulk goes over lanes to others that have them, as between real peers.
        """
        index = len(self.birds)
        identity = _identity(index)
        spool = self.folder / f"bird-{index}"
        spool.mkdir()
        toy = ToyLearner(
            spool=spool,
            values=[float(index)] * self._manifest.outer.fragments,
            seconds=seconds,
            rng=random.Random(f"{self.network.seed}/{index}/learner"),
            codec=self._manifest.codecs[0],
            grouped=self._manifest.outer.group > PAIR,
            **options,
        )
        transport, record = self.network.add(identity.peer_id), Record()
        bootstraps = tuple(address for bird in through for address in bird.transport.addresses)
        run = Run(self._sealed, self._manifest, bootstraps)
        rng = random.Random(f"{self.network.seed}/{index}")
        line = Line(simulated_lanes(transport) if lanes else None)
        swarm = Swarm(
            transport, identity, run, toy, ObjectStore(spool), record, rng=rng, ladder=ladder, line=line
        )
        toy.publish = swarm.new_share
        toy.tell_boundary = partial(setattr, swarm.pairing, "next_boundary")
        bird = Bird(identity, transport, swarm, toy, record, line.bulk)
        self.birds.append(bird)
        return bird

    def kill(self, bird: Bird) -> None:
        """End a bird as SIGKILL would."""
        self.network.kill(bird.identity.peer_id)
        bird.scope.cancel()

    def freeze(self, bird: Bird) -> None:
        """Stop a bird as SIGSTOP would."""
        self.network.freeze(bird.identity.peer_id)


def _identity(index: int) -> Identity:
    return Identity(index.to_bytes(32, "big"))
