"""Finding peers, again and again: bootstraps, the cache on disk, and the run's DHT."""

import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import trio

from peer.swarm.membership import Membership
from peer.swarm.stored import StoredRecords, open_stored, stored_form
from peer.swarm.transport import Contact, Transport, TransportError, bare
from peer.swarm.view import View
from protocol.errors import ProtocolError

PUBLISH_EVERY = 300.0
"""Seconds between two publications of our record: values age in the DHT, and holders leave."""

PUBLISH_RETRY = 15.0
"""Seconds after which a publication that failed is tried again."""

HEAL_TORN = 10.0
"""The same, while many have fallen silent."""

PUBLISH_PAUSE = 5.0
"""Seconds from a change of our record to its publication: changes come in groups."""

HEAL_EVERY = 60.0
"""Seconds between two attempts to reach a bootstrap or cached peer that is out of view, though others are
in view: after a partition each side is content with itself, and may know the other by nothing else."""

DRAW_EVERY = 60.0
"""Seconds between two random draws from the DHT, which join parts of the swarm that have lost each other."""

DRAWN = 4

FIRST_RETRY = 1.0
LONGEST_RETRY = 60.0
"""Seconds between attempts while alone: doubling, with jitter, for ever."""

ATTEMPT_EVERY = 5.0
"""The same, for each peer that there is to try where these are few: who knows one dials it every few seconds.
If both were away and our address is another now, only our own next attempt brings us together."""

TABLE_DEADLINE = 30.0


@dataclass(frozen=True, slots=True)
class DiscoveryStatistics:
    """What discovery has done."""

    bootstrap_attempts: int
    bootstrap_answers: int
    draws: int
    published: int


class Discovery:
    """Feeds the view from every source there is."""

    def __init__(
        self,
        transport: Transport,
        run_id: bytes,
        view: View,
        membership: Membership,
        *,
        bootstraps: Sequence[str],
        cached: Callable[[], Sequence[Contact]],
        rng: random.Random,
    ) -> None:
        self._transport = transport
        self._run_id = run_id
        self._view = view
        self._membership = membership
        self._bootstraps = tuple(bootstraps)
        self._cached = cached
        self._rng = rng
        self._attempts = self._answers = self._draws = self._published = 0

    async def bootstrap(self) -> bool:
        """Greet every bootstrap and cached peer at once; return whether any answered."""
        before = self._answers
        async with trio.open_nursery() as nursery:
            for address in self._bootstraps:
                nursery.start_soon(self._greet_address, address)
            for contact in self._cached():
                nursery.start_soon(self._greet, contact)
        return self._answers > before

    async def _greet_address(self, address: str) -> None:
        self._attempts += 1
        try:
            with trio.fail_after(10):
                peer_id = await self._transport.dial(address)
        except (TransportError, trio.TooSlowError):
            return
        if peer_id != self._transport.peer_id:
            await self._count(Contact(peer_id, (bare(address),)))

    async def _greet(self, contact: Contact) -> None:
        if contact.peer_id != self._transport.peer_id:
            self._attempts += 1
            await self._count(contact)

    async def _count(self, contact: Contact) -> None:
        self._answers += await self._membership.greet(contact)

    async def run(self) -> None:
        """Keep the view fed until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._bootstrap_while_alone)
            nursery.start_soon(self._heal)
            nursery.start_soon(self._use_table)

    async def _bootstrap_while_alone(self) -> None:
        retry = FIRST_RETRY
        while True:
            if self._view.statistics().live:
                retry = FIRST_RETRY
                await self._view.wait_change()
                continue
            before = self._attempts
            await self.bootstrap()
            with trio.move_on_after(retry * (0.5 + self._rng.random())):
                await self._view.wait_change()
            tried = max(self._attempts - before, 1)
            retry = min(retry * 2, tried * ATTEMPT_EVERY, LONGEST_RETRY)

    async def _heal(self) -> None:
        while True:
            every = HEAL_TORN if self._view.torn() else HEAL_EVERY
            await trio.sleep(every * (0.5 + self._rng.random()))
            if self._view.statistics().live:
                await self._greet_one_out_of_view()

    async def _greet_one_out_of_view(self) -> None:
        here = {self._transport.peer_id, *(contact.peer_id for contact in self._view.live())}
        out: list[str | Contact] = [
            address for address in self._bootstraps if address.rpartition("/p2p/")[2] not in here
        ]
        out += [contact for contact in self._cached() if contact.peer_id not in here]
        if not out:
            return
        match self._rng.choice(out):
            case Contact() as contact:
                await self._greet(contact)
            case address:
                await self._greet_address(address)

    async def _use_table(self) -> None:
        # What fails or is cut here is made good by the table's own maintenance.
        with suppress(TransportError), trio.move_on_after(TABLE_DEADLINE):
            await self._transport.join_table(self._run_id, self._view.live(), StoredRecords(self._run_id))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._stay_published)
            nursery.start_soon(self._draw_again_and_again)

    async def _stay_published(self) -> None:
        while True:
            while not self._view.statistics().live:
                await self._view.wait_change()
            with trio.move_on_after(PUBLISH_EVERY if await self._publish() else PUBLISH_RETRY):
                await self._membership.wait_renewed()
                await trio.sleep(PUBLISH_PAUSE)

    async def _publish(self) -> bool:
        with suppress(TransportError), trio.move_on_after(TABLE_DEADLINE):
            await self._transport.publish(stored_form(self._membership.record()))
            self._published += 1
            return True
        return False

    async def _draw_again_and_again(self) -> None:
        while True:
            await self._draw_from_table()
            await trio.sleep(DRAW_EVERY * (0.5 + self._rng.random()))

    async def _draw_from_table(self) -> None:
        """Greet peers near a random key; take an unknown one's addresses from its record in the DHT."""
        try:
            with trio.move_on_after(TABLE_DEADLINE):
                for contact in await self._transport.random_peers(DRAWN):
                    if self._view.contact(contact.peer_id) is None:
                        self._draws += 1
                        await self._membership.greet(await self._with_addresses(contact))
        except TransportError:
            return

    async def _with_addresses(self, contact: Contact) -> Contact:
        if contact.addresses:
            return contact
        try:
            stored = await self._transport.look_up(contact.peer_id)
            record = open_stored(stored or b"", self._run_id)
        except (TransportError, ProtocolError):
            return contact
        return Contact(contact.peer_id, record.addresses) if record.peer_id == contact.peer_id else contact

    def statistics(self) -> DiscoveryStatistics:
        """Counters since the start."""
        return DiscoveryStatistics(self._attempts, self._answers, self._draws, self._published)
