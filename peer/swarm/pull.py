"""Pull an object in pieces: the receiver sets the pace, and can resume anywhere."""

from peer.swarm.calls import Conversation, conversation
from peer.swarm.objects import Incoming, ObjectStore
from peer.swarm.service import PieceOf, Reply
from peer.swarm.transport import Contact, Transport
from protocol import codec
from protocol.errors import ProtocolError
from protocol.messages import ObjectRef, Piece, Pull, Refused

PIECE = 1024 * 1024
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
        while incoming.missing:
            incoming.write(await _pull_piece(talk, ref, incoming))


async def _pull_piece(talk: Conversation, ref: ObjectRef, incoming: Incoming) -> bytes:
    wanted = min(PIECE, incoming.missing)
    piece = await talk.ask(Pull(sha256=ref.sha256, offset=incoming.received, length=wanted), Piece)
    if piece.length > wanted:
        raise ProtocolError("a piece is longer than was asked for")
    data = await talk.receive_raw(piece.length)
    if codec.digest(data) != piece.sha256:
        raise ProtocolError("a piece does not have the hash that was announced")
    return data


class PieceServer:
    """Answers `Pull` from the object store, and counts what went out."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self.bytes_out = 0

    async def serve(self, peer_id: str, call: Pull) -> Reply:  # noqa: ARG002 - any peer of the run may pull
        """Answer one call."""
        data = self._store.read(call.sha256, call.offset, min(call.length, PIECE))
        if not data:
            return Refused(reason="this object is not here (any more)")
        self.bytes_out += len(data)
        return PieceOf(Piece(length=len(data), sha256=codec.digest(data)), data)
