"""Simulated voters of a `onebyte` run: the real ledgers and the real anti-entropy, with dice for a model."""

import random
from dataclasses import dataclass, field
from pathlib import Path

import trio

from peer.simulate.flock import Bird, Flock
from peer.swarm.anti_entropy import PERIOD, AntiEntropy
from peer.swarm.ledger import Ledger
from protocol.manifest import Manifest, OneByte, Outer
from protocol.pages import PAGE

LONGEST = 4 * PAGE


@dataclass(slots=True)
class Voter:
    """A bird with a ledger, which casts `votes` in batches at random times."""

    bird: Bird
    ledger: Ledger
    meetings: AntiEntropy
    votes: int
    rng: random.Random
    equal: list[str] = field(default_factory=list)
    """Peers that held the same votes when we asked."""
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)

    async def live(self) -> None:
        """Vote, and meet others, until killed."""
        with self.scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.bird.fly)
                await self.bird.swarm.serving.wait()
                self.meetings.serve(self.bird.swarm.service)
                nursery.start_soon(self.meetings.run)
                nursery.start_soon(self._vote)

    async def _vote(self) -> None:
        left = self.votes
        while left > 0:
            await trio.sleep(PERIOD * self.rng.random())
            count = min(left, self.rng.randint(1, 8))
            left -= count
            self.cast(self.rng.randbytes(count))

    def cast(self, votes: bytes) -> None:
        """Sign votes and take them in."""
        for part in self.ledger.sign(self.bird.identity, votes):
            self.ledger.take(part)


class Electorate:
    """A flock of voters on one virtual clock."""

    def __init__(self, folder: Path, *, seed: int = 0) -> None:
        self.flock = Flock(folder, _manifest, seed=seed)
        self.voters: list[Voter] = []

    def enrol(
        self, *, through: tuple[Voter, ...] = (), votes: int = 100, ledger: Ledger | None = None
    ) -> Voter:
        """Make a voter that knows some others, with an empty ledger if none is given."""
        bird = self.flock.hatch(through=tuple(voter.bird for voter in through), outer_steps=0)
        rng = random.Random(f"voter {self.flock.network.seed}/{len(self.voters)}")
        held, equal = ledger or Ledger(self.flock.run_id, LONGEST), list[str]()
        view = bird.swarm.view
        meetings = AntiEntropy(bird.transport, self.flock.run_id, view, held, equal.append, rng=rng)
        voter = Voter(bird, held, meetings, votes, rng, equal)
        self.voters.append(voter)
        return voter

    async def run(self, seconds: float) -> None:
        """Let every voter live for so long."""
        with trio.move_on_after(seconds):
            async with trio.open_nursery() as nursery:
                for voter in self.voters:
                    nursery.start_soon(voter.live)

    def kill(self, voter: Voter) -> None:
        """End a voter as SIGKILL would."""
        self.flock.kill(voter.bird)
        voter.scope.cancel()


def _manifest(founder: bytes) -> Manifest:
    return Manifest(founder=founder, outer=Outer(preset="onebyte"), onebyte=OneByte(samples=4))
