"""Connections before the other side has proved who it is."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from libp2p.abc import INetConn
from libp2p.io.abc import ReadWriteCloser
from libp2p.io.exceptions import IOException
from libp2p.io.trio import TrioTCPStream
from libp2p.network.connection.raw_connection import RawConnection

from peer.swarm.origin import origin_of_stream

_MOST = 16 * 1024
"""Bytes of a handshake; a real one has about 1 KiB."""


class BriefReader(ReadWriteCloser):  # type: ignore[misc]
    """A stream that gives little to who has not proved himself.

    Stock 0.8.1 takes the length of a protocol's name from the wire and reads as much, up to 2**63 bytes. Drop
    when a libp2p release bounds it.
    """

    def __init__(self, stream: ReadWriteCloser) -> None:
        self.stream = stream
        self._left = _MOST

    async def read(self, n: int | None = None) -> bytes:
        """Read up to `n` bytes of what is left."""
        if self._left == 0:
            raise IOException("the handshake is too long")
        data: bytes = await self.stream.read(self._left if n is None else min(n, self._left))
        self._left -= len(data)
        return data

    async def write(self, data: bytes) -> None:
        """Write as the stream does."""
        await self.stream.write(data)

    async def close(self) -> None:
        """Close the stream."""
        await self.stream.close()

    def get_remote_address(self) -> tuple[str, int] | None:
        """Return IP address and port of the other end."""
        address: tuple[str, int] | None = self.stream.get_remote_address()
        return address


def trust(raw: RawConnection) -> None:
    """Let a connection read without a bound, now that the other side has proved who it is."""
    if isinstance(raw.stream, BriefReader):
        raw.stream = raw.stream.stream


class Handshakes:
    """Counts handshakes by where they come from, so that one host cannot take every inbound slot."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._running: Counter[str] = Counter()

    @contextmanager
    def one(self, stream: TrioTCPStream) -> Iterator[None]:
        """Count one handshake while it lasts.

        Raises:
            IOException: its host has as many already.
        """
        origin = origin_of_stream(stream.stream)
        if self._running[origin] >= self._most:
            raise IOException(f"{origin} has {self._most} handshakes running")
        self._running[origin] += 1
        try:
            yield
        finally:
            self._running[origin] -= 1
            if not self._running[origin]:
                del self._running[origin]


def remote_host(connection: INetConn) -> str | None:
    """Return the IP address at the other end of a connection's socket; None where it has none of its own."""
    stream = connection.muxed_conn.secured_conn.conn.conn.stream
    if not isinstance(stream, TrioTCPStream):
        return None
    # libp2p's own get_remote_address knows no IPv6.
    try:
        return str(stream.stream.socket.getpeername()[0])
    except OSError:
        return None
