"""The giving side of a pull: serves chunks of objects, no faster than the cap, and times whole objects."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import trio

from peer.swarm.goodput import Goodput
from peer.swarm.objects import CHUNK, ObjectStore
from peer.swarm.rate import RateLimit
from peer.swarm.service import PieceOf, Reply
from peer.swarm.transfers import Transfers
from peer.swarm.transport import TransportError
from protocol.messages import Got, Piece, Pull, Refused


@dataclass(slots=True)
class _Timed:
    """An object that a peer is pulling."""

    peer_id: str
    sha256: bytes
    began: float
    size: int = 0


class PieceServer:
    """Answers `Pull` from the object store, and counts what went out and how fast."""

    def __init__(
        self, store: ObjectStore, upload: RateLimit | None = None, transfers: Transfers | None = None
    ) -> None:
        self._store = store
        self._transfers = transfers or Transfers()
        self._upload = upload or RateLimit()
        self._watched: tuple[str, trio.CancelScope, float] | None = None
        self._last_moved = ("", float("-inf"))
        self._timed: _Timed | None = None
        self.goodput = Goodput()
        self.bytes_out = 0

    @contextmanager
    def ends_in_silence(self, peer_id: str, seconds: float) -> Iterator[None]:
        """Bound what is inside by the silence of a peer: so many seconds in which it takes nothing of ours.

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
        """Say whether a peer has taken something of ours in the last so many seconds."""
        return self._last_moved[0] == peer_id and trio.current_time() - self._last_moved[1] < seconds

    async def serve(self, peer_id: str, call: Pull) -> Reply:
        """Answer one call."""
        data = self._store.read(call.sha256, call.offset, min(call.length, CHUNK), peer_id)
        if not data:
            return Refused(reason="this object is not here (any more)")
        if call.offset == 0:
            # Of two peers that pull at once neither is timed.
            self._timed = _Timed(peer_id, call.sha256, trio.current_time())
        piece = Piece(length=len(data), sha256=self._store.digest(call.sha256, call.offset, data))
        return PieceOf(piece, data, self._upload.slice, partial(self._may_send, peer_id, call.sha256))

    async def serve_got(self, peer_id: str, call: Got) -> Reply:
        """Take note that a peer has all that it asked for."""
        self._transfers.has(peer_id, call.sha256)
        timed = self._timed
        if timed is not None and (timed.peer_id, timed.sha256) == (peer_id, call.sha256):
            self.goodput.sent(peer_id, timed.size, trio.current_time() - timed.began)
            self._timed = None
        return None

    async def _may_send(self, peer_id: str, sha256: bytes, size: int) -> None:
        await self._upload.take(size, peer_id)
        self.bytes_out += size
        self._transfers.gave(peer_id, sha256, self._store.size(sha256), size)
        self._last_moved = (peer_id, trio.current_time())
        if self._timed is not None and (self._timed.peer_id, self._timed.sha256) == (peer_id, sha256):
            self._timed.size += size
        if self._watched is not None and self._watched[0] == peer_id:
            _, scope, seconds = self._watched
            scope.deadline = trio.current_time() + seconds
