"""Staying known and staying acquainted: our own record, signs of life, peer exchange, and saying goodbye."""

import random
import time
from collections.abc import Callable

import trio

from peer.swarm.calls import RefusedError, ask, conversation
from peer.swarm.horizon import Horizon, Split
from peer.swarm.service import Reply
from peer.swarm.transport import Contact, Transport, TransportError, bare
from peer.swarm.view import View
from peer.swarm.waiting import first_of
from protocol.errors import ProtocolError
from protocol.identity import Identity
from protocol.limits import MAX_ADDRESSES, MAX_RECORDS
from protocol.messages import AskPeers, Goodbye, Noted, PeersAre
from protocol.records import PeerRecord, SignedRecord, open_record, sign_record
from protocol.sketch import Sketch

HEARTBEAT = 10.0
"""Seconds between two rounds of signs of life. Three missed rounds drop a peer."""

HEARTBEAT_FANOUT = 16
"""Peers asked in one round: the work of a peer does not grow with the swarm."""

BRIDGED = 8
"""Further answers that are asked of a peer of another half of the run."""

GOODBYE_DEADLINE = 1.5
"""Seconds that leaving may spend on telling the others."""


class Membership:
    """Keeps our record fresh and the view alive by asking known peers for their peers."""

    def __init__(
        self,
        transport: Transport,
        identity: Identity,
        run_id: bytes,
        view: View,
        *,
        rng: random.Random,
        on_split: Callable[[Split], None],
    ) -> None:
        self._transport = transport
        self._identity = identity
        self._run_id = run_id
        self._view = view
        self._sequence = 0
        self._rng = rng
        self._leaving = False
        self._on_split = on_split
        self.horizon = Horizon(identity.peer_id, lambda: [contact.peer_id for contact in view.live()])
        """What our heartbeats carry of the swarm, and what those of others show."""
        self.shard = 0
        """The shard of the data that our record names."""
        self.progress: Callable[[], tuple[int | None, bool]] = lambda: (None, False)
        """How far our record says that we have come, and whether we have been away."""
        self._relaying = False
        self._renewed = trio.Event()

    def record(self) -> SignedRecord:
        """Sign what is true of us now. Wall-clock nanoseconds make the sequence grow over restarts too."""
        self._sequence = max(time.time_ns(), self._sequence + 1)
        outer_step, away = self.progress()
        record = PeerRecord(
            run_id=self._run_id,
            peer_id=self._identity.peer_id,
            sequence=self._sequence,
            addresses=tuple(bare(address) for address in self._transport.addresses[:MAX_ADDRESSES]),
            shard=self.shard,
            outer_step=outer_step,
            away=away,
            relay=self._relaying,
            goodbye=self._leaving,
        )
        return sign_record(record, self._identity)

    def renew(self, *, relaying: bool) -> None:
        """Tell the others of our new record: where we are dialled has changed, or whether we are a relay."""
        self._relaying = relaying
        renewed, self._renewed = self._renewed, trio.Event()
        renewed.set()

    async def wait_renewed(self) -> None:
        """Wait until `renew` is called."""
        await self._renewed.wait()

    async def serve_peers(self, caller: str, call: AskPeers) -> Reply:
        """Answer `AskPeers`: learn who called, and pass on some that we know."""
        sketch = self.horizon.sketch()
        self._learn_from(caller, call.mine)
        self._compare(caller, call.sketch)
        records = (self.record(), *self._view.sample(MAX_RECORDS - 1))
        return PeersAre(records=records, sketch=sketch)

    async def serve_goodbye(self, caller: str, call: Goodbye) -> Reply:
        """Answer `Goodbye`. The record is signed, so it counts whoever brings it."""
        del caller
        self._view.learn(call.record)
        return Noted()

    def _learn_from(self, caller: str, sealed: SignedRecord) -> None:
        record = open_record(sealed, self._run_id)
        if record.peer_id != caller:
            raise ProtocolError("a peer introduces itself with another's record")
        self._view.learn(sealed)
        self._view.answered(caller)

    async def greet(self, contact: Contact) -> bool:
        """Exchange records with one peer; return whether it answered."""
        if self._leaving:
            return False
        try:
            split = await self._exchange_records(contact)
            if split is not None:
                # One answer names some of its half; the heartbeats that follow greet them, and they ours.
                for _ in range(min(split.theirs // MAX_RECORDS, BRIDGED)):
                    await self._exchange_records(contact)
        except (TransportError, ProtocolError, RefusedError):
            self._view.missed(contact.peer_id)
            return False
        return True

    async def _exchange_records(self, contact: Contact) -> Split | None:
        call = AskPeers(mine=self.record(), sketch=self.horizon.sketch())
        async with conversation(self._transport, contact, self._run_id) as talk:
            asked = trio.current_time()
            answer = await talk.ask(call, PeersAre)
            self._view.timed(contact.peer_id, trio.current_time() - asked)
        if not answer.records:
            raise ProtocolError("a peer answers without its own record")
        self._learn_from(contact.peer_id, answer.records[0])
        split = self._compare(contact.peer_id, answer.sketch)
        self._view.learn_all(answer.records[1:])
        return split

    def _compare(self, peer_id: str, sketch: Sketch | None) -> Split | None:
        split = self.horizon.hear(peer_id, sketch)
        if split is not None:
            self._on_split(split)
        return split

    async def beat(self) -> None:
        """Do one round: greet the unproved first, then a draw of the live."""
        known = {contact.peer_id: contact for contact in self._view.known()}
        live = [contact for contact in self._view.live() if known.pop(contact.peer_id, None)]
        chosen = [*known.values(), *self._rng.sample(live, len(live))][:HEARTBEAT_FANOUT]
        async with trio.open_nursery() as nursery:
            for contact in chosen:
                nursery.start_soon(self.greet, contact)

    async def run(self) -> None:
        """Beat until cancelled; at once when somebody new is heard of, so that newcomers meet everyone."""
        while True:
            await self.beat()
            if any(self._unproved()):
                await trio.sleep(HEARTBEAT * 0.1 * (0.5 + self._rng.random()))
                continue
            # Random lengths keep peers that started together from beating together.
            with trio.move_on_after(HEARTBEAT * (0.5 + self._rng.random())):
                await first_of(self._view.wait_change, self.wait_renewed)

    def _unproved(self) -> list[Contact]:
        live = {contact.peer_id for contact in self._view.live()}
        return [contact for contact in self._view.known() if contact.peer_id not in live]

    async def say_goodbye(self) -> None:
        """Tell the peers in view that we leave, within `GOODBYE_DEADLINE`; from now on we are gone."""
        self._leaving = True
        farewell = Goodbye(record=self.record())
        with trio.move_on_after(GOODBYE_DEADLINE):
            async with trio.open_nursery() as nursery:
                for contact in self._view.live()[:HEARTBEAT_FANOUT]:
                    nursery.start_soon(self._tell, contact, farewell)

    async def _tell(self, contact: Contact, farewell: Goodbye) -> None:
        try:
            await ask(self._transport, contact, self._run_id, farewell, Noted)
        except (TransportError, ProtocolError, RefusedError):
            return
