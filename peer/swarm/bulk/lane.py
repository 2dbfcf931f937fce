"""One lane: both sides pull over it, several chunks ahead, and each answers the other's pulls in turn."""

import math
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Protocol

import trio

from peer.swarm.calls import NO_PROGRESS, RefusedError
from peer.swarm.pull import MOST_AHEAD, Ahead
from peer.swarm.service import PieceOf, Reply
from peer.swarm.transport import SilentError, Stream, TransportError
from peer.swarm.wire import Wire
from protocol import codec
from protocol.errors import ProtocolError
from protocol.messages import Got, Piece, Pull, Refused

IDLE = 60.0
"""Seconds without use after which a lane is closed."""

MOST_WAITING = 24
"""Pulls of the other side that may wait for their answer; of ours, of all objects, `pull.MOST_AHEAD` do."""

AT_FIRST = 2
"""Chunks that are asked for ahead on a new lane."""

LONGEST_FRAME = 1024
"""Bytes of a frame; a refusal's reason is the longest part of one."""

Serve = Callable[[str, Pull | Got], Awaitable[Reply]]


class ByteStream(Stream, Protocol):
    """A stream that can read into a buffer of ours."""

    async def receive_into(self, buffer: memoryview) -> int:
        """Fill a buffer as far as what has come allows; return its number of bytes, 0 at the end."""


class _Asked:
    """A pull of ours that waits for its answer: the chunk, a refusal, or None where the lane ended first."""

    def __init__(self, call: Pull) -> None:
        self.call = call
        self.done = trio.Event()
        self.answer: tuple[Piece, bytearray] | Refused | None = None


class Lane:
    """Pulls and is pulled from over one stream for as long as `run` runs.

    Attributes:
        ahead: how many chunks to ask for ahead.
        useful: it has brought something.
        failed: it ended because the other side fell silent in the midst of something, or spoke nonsense.
    """

    def __init__(self, stream: ByteStream, serve: Serve) -> None:
        self._stream = stream
        self._wire = Wire(stream, no_progress=NO_PROGRESS)
        self._serve = serve
        self._untold: deque[Got] = deque()
        self._unsent: deque[_Asked] = deque()
        self._asked: deque[_Asked] = deque()
        self._waiting: deque[Pull | Got] = deque()
        self._work = trio.Event()
        self._reading = trio.CancelScope()
        self._ended = False
        self.useful = self.failed = False
        self.ahead = Ahead(AT_FIRST)

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

    async def _until_end(self, part: Callable[[], Awaitable[None]], scope: trio.CancelScope) -> None:
        # Whatever ends a lane, a bug of ours too, ends this lane alone: what it carried is fetched otherwise.
        try:
            await part()
        except (SilentError, ProtocolError):
            self.failed = True
        except Exception:  # noqa: BLE001, S110 - it shows in that lane's end
            pass
        finally:
            scope.cancel()

    def way(self) -> "LaneWay":
        """Return a way over this lane for one object; several may be under way at once."""
        return LaneWay(self, self._stream.peer_id)

    def tell(self, call: Got) -> None:
        """Say something that has no answer."""
        self._untold.append(call)
        self._work.set()

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
            message = codec.decode(frame, Pull | Got | Piece | Refused, LONGEST_FRAME)  # type: ignore[arg-type]
            if isinstance(message, Pull | Got):
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
            if self._asked:
                raise SilentError(f"the lane to {self._stream.peer_id} is silent")
            if not self._waiting:
                raise TransportError(f"the lane to {self._stream.peer_id} is not used")

    async def _take(self, answer: Piece | Refused) -> None:
        if not self._asked:
            raise ProtocolError("an answer to nothing")
        asked = self._asked[0]
        if isinstance(answer, Piece):
            if answer.length > asked.call.length:
                raise ProtocolError("a piece is longer than was asked for")
            asked.answer = answer, await self._body(answer.length)
            self.useful = True
        else:
            asked.answer = answer
        self._asked.popleft()
        asked.done.set()
        self._work.set()

    async def _body(self, length: int) -> bytearray:
        """Return the bytes of a piece, copied nowhere between their decryption and here."""
        body, at = bytearray(length), 0
        with memoryview(body) as view:
            while at < length:
                with self._wire.progress_expected():
                    size = await self._stream.receive_into(view[at:])
                if not size:
                    raise ProtocolError("the lane ended in the middle of a piece")
                at += size
        return body

    # ---- what goes

    async def _write(self) -> None:
        while True:
            await self._work.wait()
            self._work = trio.Event()
            while (may_ask := self._may_ask()) or self._untold or self._waiting:
                if self._untold:
                    await self._wire.send_frame(codec.encode(self._untold.popleft()))
                elif may_ask:
                    # Our own pulls first: they are short, and the other side's answers wait for nothing else.
                    asked = self._unsent.popleft()
                    self._expect(asked)
                    await self._wire.send_frame(codec.encode(asked.call))
                else:
                    await self._answer(self._waiting[0])
                    self._waiting.popleft()

    def _may_ask(self) -> bool:
        # The other side bounds what waits on a lane, however many objects are being pulled over it.
        return bool(self._unsent) and len(self._asked) < MOST_AHEAD

    def _expect(self, asked: _Asked) -> None:
        if not self._asked:
            # In place of what was left of the idle minute, which may be next to nothing.
            self._reading.deadline = trio.current_time() + NO_PROGRESS
        self._asked.append(asked)

    async def _answer(self, call: Pull | Got) -> None:
        reply = await self._serve(self._stream.peer_id, call)
        if isinstance(reply, PieceOf):
            await reply.send(self._wire)
        elif isinstance(reply, Refused):
            await self._wire.send_frame(codec.encode(reply))
        elif reply is not None:
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

    async def tell(self, call: Got) -> None:
        """See `Way`."""
        self._lane.tell(call)

    async def hear(self) -> tuple[Piece, bytearray]:
        """See `Way`."""
        asked = self._asked.popleft()
        await asked.done.wait()
        if isinstance(asked.answer, Refused):
            raise RefusedError(asked.answer)
        if asked.answer is None:
            raise TransportError(f"the lane to {self._peer_id} ended")
        return asked.answer
