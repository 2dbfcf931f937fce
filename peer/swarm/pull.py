"""Pull an object in pieces: the receiver sets the pace, and can resume anywhere."""

from collections.abc import Iterator
from contextlib import contextmanager

import trio

from peer.swarm.calls import Conversation, conversation
from peer.swarm.goodput import Goodput
from peer.swarm.objects import Incoming, ObjectStore
from peer.swarm.service import PieceOf, Reply
from peer.swarm.transport import Contact, Transport, TransportError
from protocol import codec
from protocol.errors import ProtocolError
from protocol.messages import ObjectRef, Piece, Pull, Refused

PIECE = 512 * 1024
"""Bytes of one pull: large enough that the round trip is paid seldom, small enough to show progress."""


async def pull(
    transport: Transport,
    contact: Contact,
    run_id: bytes,
    ref: ObjectRef,
    incoming: Incoming,
) -> None:
    """Fetch what `incoming` still misses of `ref`. Raises as `Conversation.ask`; what came is kept."""
    async with conversation(transport, contact, run_id) as talk:
        await pull_through(talk, ref, incoming)


async def pull_through(talk: Conversation, ref: ObjectRef, incoming: Incoming) -> None:
    """Fetch what `incoming` still misses of `ref` over a stream that is open, like `pull`."""
    while incoming.missing:
        incoming.write(await _pull_piece(talk, ref.sha256, incoming.received, incoming.missing))


async def pull_range(talk: Conversation, sha256: bytes, offset: int, length: int) -> bytes:
    """Fetch one range of an object, with nothing to show before it is whole. Raises as `Conversation.ask`."""
    parts: list[bytes] = []
    while (come := sum(map(len, parts))) < length:
        parts.append(await _pull_piece(talk, sha256, offset + come, length - come))
    return b"".join(parts)


async def _pull_piece(talk: Conversation, sha256: bytes, offset: int, most: int) -> bytes:
    wanted = min(PIECE, most)
    piece = await talk.ask(Pull(sha256=sha256, offset=offset, length=wanted), Piece)
    if piece.length > wanted:
        raise ProtocolError("a piece is longer than was asked for")
    data = await talk.receive_raw(piece.length)
    if codec.digest(data) != piece.sha256:
        raise ProtocolError("a piece does not have the hash that was announced")
    return data


class PieceServer:
    """Answers `Pull` from the object store, and counts what went out and how fast."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._watched: tuple[str, trio.CancelScope, float] | None = None
        self._last_pull = ("", float("-inf"))
        self._pulling: tuple[str, bytes, float] = ("", b"", 0.0)
        self.goodput = Goodput()
        self.bytes_out = 0

    @contextmanager
    def ends_in_silence(self, peer_id: str, seconds: float) -> Iterator[None]:
        """Bound what is inside by the silence of a peer: so many seconds in which it pulls nothing of ours.

        Raises:
            TransportError: it was silent for so long.
        """
        with trio.move_on_after(seconds) as scope:
            self._watched = (peer_id, scope, seconds)
            try:
                yield
            finally:
                self._watched = None
        if scope.cancelled_caught:
            raise TransportError(f"{peer_id} fell silent for {seconds:g} s before it confirmed")

    def recently_pulled(self, peer_id: str, seconds: float) -> bool:
        """Say whether a peer has pulled something of ours in the last so many seconds."""
        return self._last_pull[0] == peer_id and trio.current_time() - self._last_pull[1] < seconds

    async def serve(self, peer_id: str, call: Pull) -> Reply:
        """Answer one call. Any peer of the run may pull."""
        data = self._store.read(call.sha256, call.offset, min(call.length, PIECE))
        if not data:
            return Refused(reason="this object is not here (any more)")
        self.bytes_out += len(data)
        self._last_pull = (peer_id, trio.current_time())
        self._measure(peer_id, call, last=len(data) < PIECE)
        if self._watched is not None and self._watched[0] == peer_id:
            _, scope, seconds = self._watched
            scope.deadline = trio.current_time() + seconds
        return PieceOf(Piece(length=len(data), sha256=codec.digest(data)), data)

    def _measure(self, peer_id: str, call: Pull, *, last: bool) -> None:
        """Time an object from its first piece to its last: the call for a piece says that the last one came.

        Of two peers that pull at once neither is timed.
        """
        now = trio.current_time()
        if call.offset == 0:
            self._pulling = (peer_id, call.sha256, now)
        elif last and self._pulling[:2] == (peer_id, call.sha256):
            self.goodput.sent(peer_id, call.offset, now - self._pulling[2])
