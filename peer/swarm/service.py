"""The answering side: reads calls from inbound streams and hands each to whoever serves it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from peer.swarm.calls import NO_PROGRESS
from peer.swarm.objects import CHUNK
from peer.swarm.transport import Stream, TransportError
from peer.swarm.wire import Wire
from protocol import codec, messages
from protocol.errors import ProtocolError
from protocol.limits import MAX_MESSAGE

IDLE = 30.0
"""Seconds that a stream may wait between two calls."""


@dataclass(frozen=True, slots=True)
class PieceOf:
    """A piece and the bytes that follow it."""

    piece: messages.Piece
    data: bytes
    slice: int = CHUNK
    """Bytes that go at once."""
    may_send: Callable[[int], Awaitable[None]] | None = None
    """Waits until so many more of them may go."""

    async def send(self, wire: Wire) -> None:
        """Send both. Raises as `Wire.send_raw`."""
        await wire.send_frame(codec.encode(self.piece))
        view = memoryview(self.data)
        for start in range(0, len(view), self.slice):
            part = view[start : start + self.slice]
            if self.may_send is not None:
                await self.may_send(len(part))
            await wire.send_raw(part)


Reply = messages.Answer | PieceOf | None
"""None: the call is one that is told, and never answered."""
Server = Callable[[str, Any], Awaitable[Reply]]
"""Takes the caller's PeerID and the call's body."""


@dataclass(frozen=True, slots=True)
class ServiceStatistics:
    """Calls that came in."""

    answered: int
    other_run: int
    malformed: int


class Service:
    """Dispatches calls by their type. A malformed call costs its sender the stream, and us a counter."""

    def __init__(self, run_id: bytes) -> None:
        self._run_id = run_id
        self._servers: dict[type[messages.Body], Server] = {}
        self._answered = self._other_run = self._malformed = 0

    def serve(self, kind: type[messages.Body], server: Server) -> None:
        """Let `server` answer calls of `kind`."""
        self._servers[kind] = server

    async def handle(self, stream: Stream) -> None:
        """Answer the calls of one stream until it ends. The transport's handler for our protocol."""
        wire = Wire(stream, no_progress=NO_PROGRESS)
        try:
            while (frame := await wire.receive_frame(patience=IDLE)) is not None:
                call = codec.decode(frame, messages.Call, MAX_MESSAGE)
                await self._send(wire, await self._answer(wire.peer_id, call))
        except ProtocolError:
            self._malformed += 1
            raise
        except TransportError:
            # The caller went away, which is its right.
            await stream.reset()

    async def _answer(self, peer_id: str, call: messages.Call) -> Reply:
        body = call.body
        if call.run_id != self._run_id and not isinstance(body, messages.AskManifest):
            self._other_run += 1
            return messages.Refused(reason="your run is not ours", other_run=True)
        return await self.answer(peer_id, body)

    async def answer(self, peer_id: str, body: messages.Body) -> Reply:
        """Return what the server of such calls says to one of a peer of our run."""
        server = self._servers.get(type(body))
        if server is None:
            return None if isinstance(body, messages.Got) else messages.Busy(seconds=1.0)
        self._answered += 1
        return await server(peer_id, body)

    @staticmethod
    async def _send(wire: Wire, reply: Reply) -> None:
        if isinstance(reply, PieceOf):
            await reply.send(wire)
        elif reply is not None:
            await wire.send_frame(codec.encode(reply))

    def statistics(self) -> ServiceStatistics:
        """Counters since the start."""
        return ServiceStatistics(self._answered, self._other_run, self._malformed)
