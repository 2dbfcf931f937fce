"""The calling side: one call and its answer, or a conversation of several over one stream."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

import trio

from peer.swarm.transport import Contact, Transport, TransportError
from peer.swarm.wire import Wire
from protocol import codec, messages
from protocol.errors import ProtocolError
from protocol.limits import MAX_MESSAGE

A = TypeVar("A")

NO_PROGRESS = 5.0
"""Seconds without a byte that end a call (peers.md: a 5 s rule mended downloads that hung for ever)."""

REACH_DEADLINE = 10.0
"""Seconds to dial a peer and open a stream: the handshake takes about five round trips."""


class RefusedError(Exception):
    """The other side said no.

    Attributes:
        refusal: its reason.
    """

    def __init__(self, refusal: messages.Refused) -> None:
        super().__init__(refusal.reason)
        self.refusal = refusal


class Conversation:
    """Calls over one stream, in turn.

    Attributes:
        contact: who answers.
    """

    def __init__(self, wire: Wire, run_id: bytes, contact: Contact) -> None:
        self._wire = wire
        self._run_id = run_id
        self.contact = contact

    @property
    def peer_id(self) -> str:
        """The PeerID that answers."""
        return self._wire.peer_id

    async def tell(self, body: messages.Body) -> None:
        """Send a call, the answer to which, if there is one, `hear` returns; answers keep the calls' order.

        Raises:
            TransportError: the stream failed or fell silent.
        """
        await self._wire.send_frame(codec.encode(messages.Call(run_id=self._run_id, body=body)))

    async def ask(self, body: messages.Body, *expected: type[A], patience: float | None = None) -> A:
        """Send a call and return its answer, one of the `expected` types.

        Raises:
            RefusedError: the other side refused.
            ProtocolError: the answer is of another type, or malformed.
            TransportError: the stream failed or fell silent.
        """
        await self.tell(body)
        return await self.hear(*expected, patience=patience)

    async def hear(self, *expected: type[A], patience: float | None = None) -> A:
        """Return the answer to the earliest call that has none yet. Raises as `ask`."""
        frame = await self._wire.receive_frame(patience=patience)
        if frame is None:
            raise TransportError(f"{self._wire.peer_id} hung up instead of answering")
        answer: object = codec.decode(frame, messages.Answer, MAX_MESSAGE)  # type: ignore[arg-type]
        if isinstance(answer, messages.Refused):
            raise RefusedError(answer)
        if not isinstance(answer, expected):
            raise ProtocolError(f"{type(answer).__name__} is no answer to what was asked")
        return answer

    async def receive_raw(self, length: int) -> bytes:
        """Return the bytes that follow an answer."""
        return await self._wire.receive_raw(length)


@asynccontextmanager
async def conversation(transport: Transport, contact: Contact, run_id: bytes) -> AsyncIterator[Conversation]:
    """Open a stream to a peer for several calls; it is closed on leaving."""
    with trio.move_on_after(REACH_DEADLINE) as scope:
        stream = await transport.open_stream(contact, messages.STREAM_PROTOCOL)
    if scope.cancelled_caught:
        raise TransportError(f"{contact.peer_id} could not be reached in {REACH_DEADLINE:g} s")
    try:
        yield Conversation(Wire(stream, no_progress=NO_PROGRESS), run_id, contact)
    finally:
        await stream.aclose()


async def ask(
    transport: Transport,
    contact: Contact,
    run_id: bytes,
    body: messages.Body,
    *expected: type[A],
    patience: float = NO_PROGRESS,
) -> A:
    """Make one call over a stream of its own, granting `patience` seconds of thought before the answer.

    Raises as `Conversation.ask`.
    """
    async with conversation(transport, contact, run_id) as talk:
        return await talk.ask(body, *expected, patience=patience)
