"""Fetches what an exchange needs of its partner into the spool folder, and counts it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from peer.swarm.calls import Conversation, conversation
from peer.swarm.engagement import Engagement
from peer.swarm.goodput import Goodput
from peer.swarm.objects import ObjectStore
from peer.swarm.pull import Puller
from peer.swarm.transport import Contact, Transport
from protocol.messages import ObjectRef


class Fetcher:
    """Calls partners and pulls whole objects, hash-checked. The caller has checked their sizes."""

    def __init__(
        self, transport: Transport, run_id: bytes, store: ObjectStore, puller: Puller, goodput: Goodput
    ) -> None:
        self._transport = transport
        self._run_id = run_id
        self.store = store
        self._puller = puller
        self._goodput = goodput

    @asynccontextmanager
    async def talk(self, contact: Contact) -> AsyncIterator[Conversation]:
        """Open a stream to a partner for several calls. Raises as `conversation`."""
        async with conversation(self._transport, contact, self._run_id) as talk:
            yield talk

    async def fetch(self, engagement: Engagement, talk: Conversation, ref: ObjectRef) -> str:
        """Return the file that holds an object of the partner's; its next reader owns it.

        Raises as `Conversation.ask`.
        """
        began = trio.current_time()
        with self.store.receive(ref) as incoming:
            try:
                await self._puller.through(talk, ref, incoming)
            finally:
                # One that was cut off tells of the link too, and is what makes the next choice smaller.
                engagement.bytes_in += incoming.received
                self._goodput.received(engagement.partner, incoming.received, trio.current_time() - began)
            incoming.check()
            return incoming.keep()
