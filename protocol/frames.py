"""Length-prefixed frames over a byte stream, as a pure decoder: bytes in, whole frames out."""

from protocol.errors import ProtocolError

PREFIX_BYTES = 4


def frame(body: bytes, limit: int) -> bytes:
    """Return `body` behind its length (4 bytes, big-endian).

    Raises:
        ProtocolError: the body is longer than `limit`: a bug here, not there.
    """
    if len(body) > limit:
        raise ProtocolError(f"frame of {len(body)} bytes, at most {limit} are allowed")
    return len(body).to_bytes(PREFIX_BYTES, "big") + body


class FrameDecoder:
    """Cut a byte stream into frames. Holds at most one frame of `limit` bytes plus what one read brought."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._buffer = bytearray()

    @property
    def buffered(self) -> int:
        """Bytes that wait for the rest of their frame."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes as they came and return the frames that they complete.

        Raises:
            ProtocolError: a frame announces more than the limit. Nothing of it has been kept.
        """
        self._buffer += data
        frames: list[bytes] = []
        while len(self._buffer) >= PREFIX_BYTES:
            length = int.from_bytes(self._buffer[:PREFIX_BYTES], "big")
            if length > self._limit:
                self._buffer.clear()
                raise ProtocolError(f"frame of {length} bytes, at most {self._limit} are allowed")
            end = PREFIX_BYTES + length
            if len(self._buffer) < end:
                break
            frames.append(bytes(self._buffer[PREFIX_BYTES:end]))
            del self._buffer[:end]
        return frames
