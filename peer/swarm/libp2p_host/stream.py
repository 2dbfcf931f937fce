"""One libp2p stream as `peer.swarm.transport.Stream`."""

from dataclasses import dataclass

from libp2p.abc import IMuxedConn, INetStream
from libp2p.network.stream.exceptions import StreamEOF

from peer.swarm.libp2p_host.failures import as_transport_error
from peer.swarm.libp2p_host.host import close_quietly, reset_quietly
from peer.swarm.transport import TransportError


@dataclass(slots=True)
class Traffic:
    """Bytes of all our streams, without those of libp2p's own protocols."""

    received: int = 0
    sent: int = 0


class Libp2pStream:
    """A stream to one authenticated peer.

    A stream one of whose calls was cancelled is of no further use (a part of the data may be under way):
    reset it. The other streams of the connection are unharmed.
    """

    def __init__(self, stream: INetStream, traffic: Traffic) -> None:
        self._stream = stream
        self._traffic = traffic
        self._peer_id: str = stream.muxed_conn.peer_id.to_base58()

    @property
    def peer_id(self) -> str:
        """The PeerID that the other side has proved."""
        return self._peer_id

    @property
    def muxed(self) -> IMuxedConn:
        """The connection that the stream belongs to."""
        return self._stream.muxed_conn

    async def send_all(self, data: bytes | memoryview) -> None:
        """Send every byte, waiting for the receiver's window.

        Raises:
            TransportError: the stream or its connection ended, or the receiver read nothing for 5 seconds
                (fixed in libp2p): a reader that must pause for longer takes its data into a queue meanwhile.
        """
        with as_transport_error("sending failed"):
            await self._stream.write(data)
        self._traffic.sent += len(data)

    async def receive_some(self, limit: int) -> bytes:
        """Return 1 to `limit` bytes, or b"" at the end. A cut stream looks like its end: frame and hash.

        Raises:
            TransportError: the stream was reset, or its connection failed.
        """
        try:
            with as_transport_error("receiving failed"):
                data: bytes = await self._stream.read(limit)
        except TransportError as error:
            data = self._stream.muxed_conn.take_unread(self._stream.muxed_stream.stream_id, limit)
            if not data and not isinstance(error.__cause__, StreamEOF):
                raise
        self._traffic.received += len(data)
        return data

    async def aclose(self) -> None:
        """Close both directions. Never raises, never waits for the other side."""
        await close_quietly(self._stream)

    async def reset(self) -> None:
        """Drop the stream at once. Never raises."""
        await reset_quietly(self._stream)
