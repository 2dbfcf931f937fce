"""One lane: both sides pull over it, several chunks ahead, and each answers the other's pulls in turn."""

import math
from collections import deque
from collections.abc import Awaitable, Callable

import trio

from peer.swarm.calls import NO_PROGRESS, RefusedError
from peer.swarm.pull import Ahead
from peer.swarm.service import PieceOf, Reply
from peer.swarm.transport import Stream, TransportError
from peer.swarm.wire import Wire
from protocol import codec
from protocol.errors import ProtocolError
from protocol.messages import Piece, Pull, Refused

IDLE = 60.0
"""Seconds without use after which a lane is closed."""

MOST_WAITING = 16
"""Pulls of the other side that may wait for their answer; ours are at most `pull.MOST_AHEAD`."""

LONGEST_FRAME = 1024
"""Bytes of a frame; a refusal's reason is the longest part of one."""

Serve = Callable[[str, Pull], Awaitable[Reply]]


class _Asked:
    """A pull of ours that waits for its answer: the chunk, a refusal, or None where the lane ended first."""

    def __init__(self, call: Pull) -> None:
        self.call = call
        self.done = trio.Event()
        self.answer: tuple[Piece, bytes] | Refused | None = None


class Lane:
    """Pulls and is pulled from over one stream for as long as `run` runs.

    Attributes:
        ahead: how many chunks to ask for ahead.
    """

    def __init__(self, stream: Stream, serve: Serve) -> None:
        self._stream = stream
        self._wire = Wire(stream, no_progress=NO_PROGRESS)
        self._serve = serve
        self._unsent: deque[_Asked] = deque()
        self._asked: deque[_Asked] = deque()
        self._waiting: deque[Pull] = deque()
        self._work = trio.Event()
        self._reading = trio.CancelScope()
        self._ended = False
        self.ahead = Ahead()

    @property
    def live(self) -> bool:
        """Whether it may still carry something."""
        return not self._ended

    async def run(self) -> None:
        """Read and write until the lane breaks, falls silent while it should not, or is not used any more."""
        try:
            async with trio.open_nursery() as nursery:
                for part in (self._read, self._write):
                    nursery.start_soon(self._until_end, part, nursery.cancel_scope)
        finally:
            self._ended = True
            for asked in (*self._asked, *self._unsent):
                asked.done.set()
            await self._stream.reset()

    @staticmethod
    async def _until_end(part: Callable[[], Awaitable[None]], scope: trio.CancelScope) -> None:
        # Whatever ends a lane ends this lane alone; what was under way on it is fetched otherwise.
        try:
            await part()
        except (TransportError, ProtocolError, OSError):
            pass
        finally:
            scope.cancel()

    def way(self) -> "LaneWay":
        """Return a way over this lane for one object; several may be under way at once."""
        return LaneWay(self, self._stream.peer_id)

    def ask(self, call: Pull) -> _Asked:
        """Ask for a chunk. One that is not waited for comes all the same, and is dropped."""
        asked = _Asked(call)
        if self.live:
            self._unsent.append(asked)
            self._work.set()
        else:
            asked.done.set()
        return asked

    # ---- what comes

    async def _read(self) -> None:
        while (frame := await self._next_frame()) is not None:
            message = codec.decode(frame, Pull | Piece | Refused, LONGEST_FRAME)  # type: ignore[arg-type]
            if isinstance(message, Pull):
                if len(self._waiting) >= MOST_WAITING:
                    raise ProtocolError("too many pulls at once")
                self._waiting.append(message)
                self._work.set()
            else:
                await self._take(message)

    async def _next_frame(self) -> bytes | None:
        """Return the next frame. An answer that is due must begin soon, anything else within `IDLE`."""
        while True:
            limit = NO_PROGRESS if self._asked else IDLE
            with trio.CancelScope(deadline=trio.current_time() + limit) as self._reading:
                return await self._wire.receive_frame(patience=math.inf)
            if self._asked or not self._waiting:
                raise TransportError(f"the lane to {self._stream.peer_id} is silent")

    async def _take(self, answer: Piece | Refused) -> None:
        if not self._asked:
            raise ProtocolError("an answer to nothing")
        asked = self._asked[0]
        if isinstance(answer, Piece):
            if answer.length > asked.call.length:
                raise ProtocolError("a piece is longer than was asked for")
            asked.answer = answer, await self._wire.receive_raw(answer.length)
        else:
            asked.answer = answer
        self._asked.popleft()
        asked.done.set()

    # ---- what goes

    async def _write(self) -> None:
        while True:
            await self._work.wait()
            self._work = trio.Event()
            while self._unsent or self._waiting:
                if self._unsent:
                    # Our own pulls first: they are short, and the other side's answers wait for nothing else.
                    asked = self._unsent.popleft()
                    self._expect(asked)
                    await self._wire.send_frame(codec.encode(asked.call))
                else:
                    await self._answer(self._waiting[0])
                    self._waiting.popleft()

    def _expect(self, asked: _Asked) -> None:
        if not self._asked:
            self._reading.deadline = min(self._reading.deadline, trio.current_time() + NO_PROGRESS)
        self._asked.append(asked)

    async def _answer(self, call: Pull) -> None:
        reply = await self._serve(self._stream.peer_id, call)
        if isinstance(reply, PieceOf):
            await reply.send(self._wire)
        elif isinstance(reply, Refused):
            await self._wire.send_frame(codec.encode(reply))
        else:
            await self._wire.send_frame(codec.encode(Refused(reason="not now")))


class LaneWay:
    """Pulls of one object over a lane."""

    def __init__(self, lane: Lane, peer_id: str) -> None:
        self._lane = lane
        self._peer_id = peer_id
        self._asked: deque[_Asked] = deque()

    @property
    def ahead(self) -> Ahead:
        """See `Way`."""
        return self._lane.ahead

    async def ask(self, call: Pull) -> None:
        """See `Way`."""
        self._asked.append(self._lane.ask(call))

    async def hear(self) -> tuple[Piece, bytes]:
        """See `Way`."""
        asked = self._asked.popleft()
        await asked.done.wait()
        if isinstance(asked.answer, Refused):
            raise RefusedError(asked.answer)
        if asked.answer is None:
            raise TransportError(f"the lane to {self._peer_id} ended")
        return asked.answer
