"""Lanes of simulated peers: the real agreement, TLS and pulls, over links in memory instead of sockets."""

import trio

from peer.simulate.network import MemoryTransport
from peer.swarm.bulk import Bulk
from peer.swarm.bulk.certificate import Certificate
from peer.swarm.transport import Contact, Stream, TransportError

PORT = 1
LANE = "/lane"
"""The protocol of a stream that stands for a connection to a bulk port."""


def simulated_lanes(transport: MemoryTransport) -> Bulk:
    """Return what opens and answers lanes over the links of `transport`."""

    def host_of(peer_id: str) -> str | None:
        return None if transport.relayed(peer_id) else peer_id

    async def dial(host: str, port: int) -> "Connection":
        del port
        return Connection(await transport.open_stream(Contact(host, ()), LANE))

    async def take_call(stream: Stream) -> None:
        await bulk.take_call(Connection(stream), stream.peer_id)

    certificate = Certificate.fresh()
    bulk = Bulk(transport.peer_id, PORT, certificate, host_of, lambda _peer, _reason: None, dial)
    transport.handle(LANE, take_call)
    return bulk


class Connection(trio.abc.Stream):
    """A simulated stream, used like a socket."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """See `trio.abc.SendStream`."""
        try:
            await self._stream.send_all(bytes(data))
        except TransportError as error:
            raise trio.BrokenResourceError from error

    async def wait_send_all_might_not_block(self) -> None:
        """See `trio.abc.SendStream`. A sender that may have to wait finds out in `send_all`."""
        await trio.lowlevel.checkpoint()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """See `trio.abc.ReceiveStream`."""
        return await self._stream.receive_some(max_bytes or 1)

    async def aclose(self) -> None:
        """See `trio.abc.AsyncResource`."""
        await self._stream.reset()
        await trio.lowlevel.checkpoint()
