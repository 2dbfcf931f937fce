"""The daemon's side of a `onebyte` run: our votes go out, others' come in, the trainer counts them all."""

import random
from contextlib import suppress
from functools import partial
from pathlib import Path

import msgspec
import trio

from peer.daemon.hand_over import HandOver
from peer.daemon.home import Home
from peer.daemon.trainer_link import TrainerLink
from peer.daemon.weights_file import WeightsFile
from peer.errors import HomeError
from peer.swarm.anti_entropy import AntiEntropy
from peer.swarm.journal import Journal
from peer.swarm.learner import LearnerGoneError
from peer.swarm.ledger import Ledger
from peer.swarm.membership import GOODBYE_DEADLINE
from peer.swarm.swarm import Run, Swarm
from peer.swarm.transport import Transport
from peer.telemetry import events
from peer.telemetry.log import Log
from protocol import trainer as ipc
from protocol.identity import Identity, public_key_of
from protocol.messages import AskState
from protocol.pages import Evidence, News
from protocol.votes import longest_log

PUBLISH = 1.0
"""Seconds between two signatures over our new votes: each costs 64 bytes sent and a sync of the disk."""

FAREWELL = 30.0
"""Seconds that a peer which has cast all votes of the run waits for the others to have done so too."""

GREETING = 15.0
"""Seconds that a peer which joins may spend on its first look at the others' ledgers."""


class Voting:
    """Keeps the ledger: on disk, equal to the others', and counted by the trainer."""

    def __init__(
        self,
        identity: Identity,
        run: Run,
        transport: Transport,
        swarm: Swarm,
        link: TrainerLink,
        home: Home,
        log: Log,
    ) -> None:
        manifest = run.manifest
        self._identity = identity
        self._run = run
        self._swarm = swarm
        self._link = link
        self._home = home
        self._log = log
        self._own = identity.public_key
        self._longest = longest_log(manifest.inner, manifest.onebyte.samples)
        self.ledger = Ledger(run.run_id, self._longest)
        self._journal = Journal(home.path / "votes")
        self._journal.replay(self.ledger)
        self.ledger.on_change(self._changed)
        self._meetings = AntiEntropy(
            transport, run.run_id, swarm.view, self.ledger, self._agreed, rng=random.Random()
        )
        self._hand_over = HandOver(self.ledger, self._own, swarm.store.folder, link.tell)
        self._weights = WeightsFile(run, transport, swarm, home)
        self._pending = bytearray()
        self._publishing = trio.Lock()
        self._final = trio.Event()
        self._convicted = trio.Event()
        self._met = False
        self._agreed_on = 0

    async def run(self) -> None:
        """Vote with the others until cancelled.

        Raises:
            HomeError: the disk refuses our votes, or this home's key has voted twice.
        """
        await self._swarm.serving.wait()
        self._meetings.serve(self._swarm.service)
        self._swarm.service.serve(AskState, self._weights.serve)
        async with trio.open_nursery() as nursery:
            for task in (self._meetings.run, self._hand_over.run, self._publish_all, self._settle):
                nursery.start_soon(task)
            await self._convicted.wait()
            raise HomeError(
                f"The key in {self._home.path} has voted twice for one step, and counts no more",
                "Do not copy a home, or put back a copy, while its run goes on. Join from a new --home",
            )

    def _changed(self, voter: bytes, why: News | None) -> None:
        if voter == self._own:
            # Our votes were written before; what others still knew of them they will tell again.
            if isinstance(why, Evidence):
                self._convicted.set()
        elif why is not None:
            # What is lost of others' votes can be had again.
            with suppress(HomeError):
                self._journal.write([why], durably=False)

    def _agreed(self, peer_id: str) -> None:
        now = self.ledger.statistics()
        if now.votes != self._agreed_on:
            self._agreed_on = now.votes
            self._log(events.VotesEqual(partner=peer_id, votes=now.votes, voters=now.voters))

    # ---- what the trainer starts from

    async def join(self) -> None:
        """Look once at somebody's ledger: it may hold votes of ours that this home has lost."""
        if self._met or not (self._run.bootstraps or self._run.cached()):
            return
        self._met = True
        await self._swarm.serving.wait()
        with trio.move_on_after(GREETING):
            await self._swarm.find_peers()
            if (contact := self._swarm.view.draw()) is not None:
                await self._meetings.meet(contact)

    async def complete(self, begin: ipc.Begin) -> ipc.Begin:
        """Return the trainer's orders with votes and first weights, from others where this host has none."""
        given = Path(begin.weights_path) if begin.weights_path else None
        weights = await self._weights.find(given)
        await self._publish()
        return msgspec.structs.replace(
            begin,
            weights_path=str(weights) if weights else None,
            votes=self._hand_over.whole(),
        )

    # ---- what the trainer says

    def heard(self, message: ipc.FromTrainer) -> None:
        """Take in a message of the trainer."""
        match message:
            case ipc.Ready():
                self._weights.offer()
            case ipc.Voted():
                self._pending += message.votes
                if message.final:
                    self._final.set()
            case ipc.Tallied():
                self._hand_over.tallied(message)
            case _:
                pass

    # ---- our votes

    async def _publish_all(self) -> None:
        while True:
            await trio.sleep(PUBLISH)
            await self._publish()

    async def _publish(self) -> None:
        async with self._publishing:
            if not self._pending:
                return
            parts = self.ledger.sign(self._identity, bytes(self._pending))
            self._pending.clear()
            await trio.to_thread.run_sync(partial(self._journal.write, parts, durably=True))
            for part in parts:
                self.ledger.take(part)

    async def _settle(self) -> None:
        """Once the trainer has cast its last vote, see that the others have them all, and let it end."""
        while True:
            await self._final.wait()
            self._final = trio.Event()
            await self._publish()
            with trio.move_on_after(FAREWELL):
                while not (await self._meet_all() and self._all_cast()):
                    if self.ledger.count(self._own) < self._longest:
                        break
                    await trio.sleep(PUBLISH)
            await self._hand_over.finish()
            with suppress(LearnerGoneError):
                await self._link.tell(ipc.Settled())

    async def _meet_all(self) -> bool:
        """Give everybody in view what they lack; return whether all were equal to us."""
        equal = [await self._meetings.meet(contact) for contact in self._swarm.view.live()]
        return all(equal)

    def _all_cast(self) -> bool:
        """Say whether everybody in view has cast all votes of the run."""
        voters = [public_key_of(contact.peer_id) for contact in self._swarm.view.live()]
        return all(self.ledger.count(voter) == self._longest for voter in voters)

    async def leave(self) -> None:
        """Give our last votes to somebody, for as long as a goodbye may take."""
        await self._publish()
        with trio.move_on_after(GOODBYE_DEADLINE):
            if (contact := self._swarm.view.draw()) is not None:
                await self._meetings.meet(contact)
