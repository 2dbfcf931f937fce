"""Whole frames on the wire, in order, whoever is cancelled meanwhile."""

from collections import deque
from collections.abc import Awaitable, Callable

import trio
from libp2p.io.exceptions import ConnectionClosedError
from libp2p.stream_muxer.yamux.yamux import HEADER_SIZE

_DATA_AHEAD = 2
"""Data frames in the queue: one on its way and one behind it, so that the wire never waits for a writer."""

_CONTROL_AHEAD = 4096
"""Control frames in the queue of a peer that does not read: it may ask for them without end."""


class FrameQueue:
    """Hands the frames of one connection to one task that writes them.

    Stock libp2p writes a frame in the task that sends it. Cancelling that task in the middle of a frame (by
    any deadline, while the link is slow) leaves half a frame on the wire, and the whole connection with all
    its streams fails to decrypt from there. And control frames (a reset, a close) wait behind a stuck write,
    often inside a shield. Here a frame is queued or not, never half sent, and control frames do not wait.
    Drop when a libp2p release does either.
    """

    def __init__(self, write: Callable[[bytes], Awaitable[None]]) -> None:
        self._write = write
        self._queue: deque[bytes] = deque()
        self._data_turns = trio.Semaphore(_DATA_AHEAD)
        self._arrived = trio.Event()
        self._drained = trio.Event()
        self._drained.set()
        self._ended = False

    async def put(self, frame: bytes) -> None:
        """Queue a frame. Only a frame with a body waits for its turn.

        Raises:
            ConnectionClosedError: nothing is written any more, or the peer leaves too much unread.
        """
        if len(frame) > HEADER_SIZE:
            await self._data_turns.acquire()
        elif len(self._queue) >= _CONTROL_AHEAD:
            raise ConnectionClosedError(f"{_CONTROL_AHEAD} frames are unread")
        if self._ended:
            self._data_turns.release()  # wakes the next who waits
            raise ConnectionClosedError("the connection has ended")
        self._queue.append(frame)
        if self._drained.is_set():
            self._drained = trio.Event()
            self._arrived.set()

    async def flush(self) -> None:
        """Wait until everything queued has been handed to the kernel, or never will be."""
        await self._drained.wait()

    async def run(self) -> None:
        """Write for as long as the connection lives; what `write` raises ends it."""
        try:
            while True:
                await self._arrived.wait()
                while self._queue:
                    frame = self._queue.popleft()
                    await self._write(frame)
                    if len(frame) > HEADER_SIZE:
                        self._data_turns.release()
                self._arrived = trio.Event()
                self._drained.set()
        finally:
            self._ended = True
            self._queue.clear()
            self._data_turns.release()
            self._drained.set()
