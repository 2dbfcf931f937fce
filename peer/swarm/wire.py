"""Frames and raw bytes over a transport's stream, each read bounded in bytes and in time."""

import trio

from peer.swarm.transport import SilentError, Stream, TransportError
from protocol.errors import ProtocolError
from protocol.frames import PREFIX_BYTES, frame
from protocol.limits import MAX_MESSAGE

READ_SIZE = 1024 * 1024
"""Most bytes taken from the stream at once; libp2p is fastest with reads of this size."""

WRITE_SIZE = 64 * 1024
"""Most bytes handed to the stream at once: within the limit on silence, 13 kB/s are enough. With a piece of
512 KiB at once, a donor whose uplink several newcomers share would take itself for stalled."""


class Wire:
    """One stream, read as frames or as counted raw bytes.

    Attributes:
        no_progress: seconds without a byte after which a read or write gives up with `TransportError`.
            A total deadline is the caller's to set.
    """

    def __init__(self, stream: Stream, *, no_progress: float) -> None:
        self._stream = stream
        self._buffer = bytearray()
        self.no_progress = no_progress

    @property
    def peer_id(self) -> str:
        """Who is at the other end."""
        return self._stream.peer_id

    async def send_frame(self, body: bytes) -> None:
        """Send one frame."""
        await self.send_raw(frame(body, MAX_MESSAGE))

    async def send_raw(self, data: bytes | memoryview) -> None:
        """Send bytes in pieces, so that the limit on silence holds for each piece and not for the whole."""
        view = memoryview(data)
        for start in range(0, len(view), WRITE_SIZE):
            with self.progress_expected():
                await self._stream.send_all(view[start : start + WRITE_SIZE])

    async def receive_frame(self, *, patience: float | None = None) -> bytes | None:
        """Return the next frame, or None where the stream ends between frames.

        Args:
            patience: seconds to wait for the first byte; `no_progress` where it is None.

        Raises:
            ProtocolError: the frame announces too much.
            TransportError: the stream ends inside it.
        """
        if not self._buffer and not await self._fill(PREFIX_BYTES, patience):
            return None
        prefix = await self.receive_raw(PREFIX_BYTES)
        length = int.from_bytes(prefix, "big")
        if length > MAX_MESSAGE:
            raise ProtocolError(f"frame of {length} bytes, at most {MAX_MESSAGE} are allowed")
        return await self.receive_raw(length)

    async def receive_raw(self, length: int) -> bytes:
        """Return exactly `length` bytes."""
        while len(self._buffer) < length:
            if not await self._fill(length - len(self._buffer)):
                raise TransportError(f"{self.peer_id} hung up in the middle of a message")
        # Nothing is read ahead, so a body is all that there is: no part of it is copied twice.
        with memoryview(self._buffer) as view:
            data = bytes(view[:length])
        del self._buffer[:length]
        return data

    async def _fill(self, wanted: int, patience: float | None = None) -> bool:
        with self.progress_expected(patience):
            data = await self._stream.receive_some(min(wanted, READ_SIZE))
        self._buffer += data
        return bool(data)

    def progress_expected(self, patience: float | None = None) -> "_Progress":
        """Bound what is inside, one read or write, by `patience` or `no_progress` seconds."""
        return _Progress(self.no_progress if patience is None else patience, self.peer_id)

    async def aclose(self) -> None:
        """Close the stream; never raises."""
        await self._stream.aclose()


class _Progress:
    """A time limit that ends in a `TransportError`, the one error that callers of the network handle."""

    def __init__(self, seconds: float, peer_id: str) -> None:
        self._scope = trio.CancelScope()
        self._seconds = seconds
        self._peer_id = peer_id

    def __enter__(self) -> None:
        self._scope.deadline = trio.current_time() + self._seconds
        self._scope.__enter__()

    def __exit__(self, *details: object) -> bool | None:
        swallowed = self._scope.__exit__(*details)  # type: ignore[arg-type]
        if self._scope.cancelled_caught:
            raise SilentError(f"{self._peer_id} moved no byte in {self._seconds:g} s")
        return swallowed
