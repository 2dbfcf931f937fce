"""Questions and answers about reaching each other, over a libp2p stream."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from libp2p.custom_types import TProtocol
from libp2p.peer.id import ID

from peer.swarm.libp2p_host.failures import as_transport_error
from peer.swarm.libp2p_host.host import GuardedHost
from peer.swarm.libp2p_host.paths import Path, is_relayed, path_of
from peer.swarm.libp2p_host.stream import Libp2pStream, Traffic
from peer.swarm.transport import DeclinedError, TransportError
from peer.swarm.wire import Wire
from protocol.codec import decode, encode
from protocol.errors import ProtocolError
from protocol.reach_calls import MAX_REACH, REACH_PROTOCOL, Declined, ReachAnswer, ReachCall

PATIENCE = 5.0
"""Seconds without a byte that end a question."""


class Talk:
    """One stream of `REACH_PROTOCOL`.

    Attributes:
        stream: what lies beneath; after `Connected` it is another peer's.
        peer_id: who is at the other end.
    """

    def __init__(self, stream: Libp2pStream) -> None:
        self.stream = stream
        self.peer_id = stream.peer_id
        self._wire = Wire(stream, no_progress=PATIENCE)

    @property
    def relayed(self) -> bool:
        """Whether the stream comes through a relay."""
        return is_relayed(self.stream.muxed)

    @property
    def path(self) -> Path | None:
        """The two ends of the TCP connection below, if there is one."""
        return path_of(self.stream.muxed)

    async def send(self, message: ReachCall | ReachAnswer) -> None:
        """Send a question or an answer."""
        await self._wire.send_frame(encode(message))

    async def hear_call(self) -> ReachCall:
        """Return the other side's question.

        Raises:
            ProtocolError: it is none, or the stream ends.
        """
        return decode(await self._frame(PATIENCE), ReachCall, MAX_REACH)  # type: ignore[arg-type]

    async def hear(self, expected: type[ReachAnswer], patience: float = PATIENCE) -> ReachAnswer:
        """Return the other side's answer, of the type that is expected.

        Raises:
            DeclinedError: it declines, with its reason.
            TransportError: it went away, or is silent.
            ProtocolError: it answers something else, or nothing.
        """
        answer: ReachAnswer = decode(await self._frame(patience), ReachAnswer, MAX_REACH)  # type: ignore[arg-type]
        if isinstance(answer, Declined):
            raise DeclinedError(f"{self.peer_id} declines: {answer.reason}")
        if not isinstance(answer, expected):
            raise ProtocolError(f"{self.peer_id} answers {type(answer).__name__}")
        return answer

    async def _frame(self, patience: float) -> bytes:
        frame = await self._wire.receive_frame(patience=patience)
        if frame is None:
            raise ProtocolError("the stream ended")
        return frame


class Talks:
    """Opens such streams, over connections that there are."""

    def __init__(self, host: GuardedHost, traffic: Traffic) -> None:
        self._host = host
        self._traffic = traffic

    async def open(self, peer: ID) -> Talk:
        """Open a stream, over a direct connection if there is one.

        Raises:
            TransportError: there is no connection, or the peer does not speak of reaching.
        """
        with as_transport_error(f"{peer.to_base58()} takes no stream"):
            if not self._host.swarm.live_connections(peer):
                raise TransportError(f"{peer.to_base58()} is not connected")
            raw = await self._host.new_stream(peer, [TProtocol(REACH_PROTOCOL)])
        return Talk(Libp2pStream(raw, self._traffic))

    @asynccontextmanager
    async def one(self, peer: ID) -> AsyncIterator[Talk]:
        """Open a stream, and close it in the end. What goes wrong with it is a `TransportError`."""
        talk = await self.open(peer)
        try:
            with as_transport_error(f"{peer.to_base58()} makes no sense"):
                yield talk
        finally:
            await talk.stream.aclose()
