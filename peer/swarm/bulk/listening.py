"""Opens the ports at which lanes are answered."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import trio

from peer.errors import ListenError
from peer.swarm.bulk.bulk import Bulk
from peer.swarm.bulk.certificate import Certificate
from peer.swarm.origin import origin_of_stream


@asynccontextmanager
async def open_bulk(
    own_id: str,
    hosts: Sequence[str],
    port: int,
    host_of: Callable[[str], str | None],
    on_failed: Callable[[str, str], None] = lambda _peer, _reason: None,
) -> AsyncIterator[Bulk]:
    """Listen for lanes.

    Args:
        own_id: our PeerID.
        hosts: IP addresses to listen on; unspecified ones stand for all of their family.
        port: the same on all; 0 takes a free one.
        host_of: says at which IP address a peer is connected directly, if it is.
        on_failed: hears of each peer that is not called for a while, and why.

    Raises:
        ListenError: the port cannot be bound.
    """
    listeners = await _listen(hosts, port)
    bulk = Bulk(own_id, listeners[0].socket.getsockname()[1], Certificate.fresh(), host_of, on_failed)

    async def take_call(raw: trio.SocketStream) -> None:
        await bulk.take_call(raw, origin_of_stream(raw))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(bulk.run)
        nursery.start_soon(trio.serve_listeners, take_call, listeners)
        yield bulk
        nursery.cancel_scope.cancel()


async def _listen(hosts: Sequence[str], port: int) -> list[trio.SocketListener]:
    listeners: list[trio.SocketListener] = []
    try:
        for host in hosts:
            # What the first was given holds for all.
            listeners += await trio.open_tcp_listeners(port, host=host)
            port = listeners[0].socket.getsockname()[1]
    except OSError as error:
        for listener in listeners:
            await listener.aclose()
        raise ListenError(
            f"cannot listen for bulk on port {port}: {error.strerror or error}",
            "Choose another with --bulk-port; 0 takes a free one",
        ) from error
    return listeners
