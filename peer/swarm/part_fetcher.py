"""Pulls what a group's members hold: many at once, each bounded in bytes and in time."""

from collections import Counter

import trio

from peer.swarm.calls import Conversation, RefusedError, conversation
from peer.swarm.deadline import AdaptiveDeadline
from peer.swarm.gathering import MOMENT
from peer.swarm.objects import ObjectStore
from peer.swarm.pull import Puller
from peer.swarm.transport import Contact, Transport, TransportError
from peer.swarm.view import View
from protocol.errors import ProtocolError
from protocol.group_calls import AskPart, PartIs
from protocol.messages import Busy, ObjectRef

AT_ONCE = 8
"""Objects that one peer pulls at the same time: enough to fill its line, few enough that each moves."""


class PartFetcher:
    """Pulls objects from members into the spool folder, hash-checked."""

    def __init__(
        self, transport: Transport, run_id: bytes, view: View, store: ObjectStore, puller: Puller
    ) -> None:
        self._transport = transport
        self._run_id = run_id
        self._puller = puller
        self._view = view
        self._store = store
        self._lines = trio.CapacityLimiter(AT_ONCE)
        # Before the first, nothing is known of the links: 30 s carry 10 MB at 3 Mbit/s.
        self._deadline = AdaptiveDeadline(first=30.0, floor=5.0, ceiling=1800.0)
        self._sending: Counter[str] = Counter()
        self.bytes_in = 0

    def is_sending(self, peer_id: str) -> bool:
        """Say whether an object is on its way from a member: one that moves no byte for 5 s is given up."""
        return self._sending[peer_id] > 0

    @property
    def deadline(self) -> float:
        """Seconds for one object, the time that its holder needs to make it included."""
        return self._deadline.seconds

    async def fetch(self, peer_id: str, wanted: AskPart | ObjectRef, largest: int) -> str | None:
        """Return the file of an object or of a part; None where a member could not deliver it in time.

        Args:
            peer_id: the member.
            wanted: an object by its hash, or a part of the member's share, which it names itself.
            largest: the most bytes that it may have.

        Raises:
            OSError: our disk refused.
        """
        contact = self._view.contact(peer_id)
        if contact is None:
            return None
        async with self._lines:
            began = trio.current_time()
            with trio.move_on_after(self._deadline.seconds) as scope:
                try:
                    file = await self._pull(contact, wanted, largest)
                except (TransportError, ProtocolError, RefusedError):
                    return None
                self._deadline.observe(trio.current_time() - began)
                return file
            if scope.cancelled_caught:
                self._deadline.overran()
            return None

    async def _pull(self, contact: Contact, wanted: AskPart | ObjectRef, largest: int) -> str:
        file: str | None = None
        try:
            async with conversation(self._transport, contact, self._run_id) as talk:
                ref = await self._locate(talk, wanted) if isinstance(wanted, AskPart) else wanted
                if ref.size > largest:
                    raise ProtocolError(f"{ref.size} bytes, at most {largest} make sense here")
                file = await self._receive(talk, contact.peer_id, ref)
        except BaseException:
            if file is not None:
                (self._store.folder / file).unlink(missing_ok=True)
            raise
        return file

    async def _receive(self, talk: Conversation, peer_id: str, ref: ObjectRef) -> str:
        with self._store.receive(ref) as incoming:
            self._sending[peer_id] += 1
            try:
                await self._puller.through(talk, ref, incoming)
            finally:
                self._sending[peer_id] -= 1
                self.bytes_in += incoming.received
            incoming.check()
            return incoming.keep()

    async def _locate(self, talk: Conversation, call: AskPart) -> ObjectRef:
        """Return a part's name, once the member has it; the deadline of `fetch` bounds how long that is."""
        while True:
            answer: PartIs | Busy = await talk.ask(call, PartIs, Busy, patience=self.deadline)
            if isinstance(answer, PartIs):
                return ObjectRef(sha256=answer.sha256, size=answer.size)
            await trio.sleep(max(answer.seconds, MOMENT))
