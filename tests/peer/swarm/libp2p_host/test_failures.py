"""What a person reads of a peer that cannot be reached, on real sockets."""

import pytest
import trio

from peer.swarm.libp2p_host import open_transport
from peer.swarm.transport import TransportError
from protocol.identity import SEED_BYTES, Identity

pytestmark = pytest.mark.anyio

CALLER, CALLED, OTHER = (Identity(bytes([number]) * SEED_BYTES) for number in (1, 2, 3))
HERE = "/ip4/127.0.0.1/tcp/0"


async def _why(address: str) -> str:
    async with open_transport(CALLER, [HERE], announce_loopback=True) as caller:
        with pytest.raises(TransportError) as caught:
            await caller.dial(address)
    return str(caught.value)


async def test_a_port_where_nobody_listens():
    listener = (await trio.open_tcp_listeners(0, host="127.0.0.1"))[0]
    address = f"/ip4/127.0.0.1/tcp/{listener.socket.getsockname()[1]}"
    await listener.aclose()
    assert await _why(f"{address}/p2p/{CALLED.peer_id}") == f"nobody listens at {address}"


async def test_another_peer_than_was_named():
    async with open_transport(CALLED, [HERE], announce_loopback=True) as called:
        address = called.addresses[0].partition("/p2p/")[0]
        why = await _why(f"{address}/p2p/{OTHER.peer_id}")
    assert why == f"another peer than that answers at {address}"


async def test_what_is_no_peer():
    async def chatter(stream):
        await stream.send_all(b"HTTP/1.0 400 Bad Request\r\n\r\n")
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, chatter, 0)
        address = f"/ip4/127.0.0.1/tcp/{listeners[0].socket.getsockname()[1]}"
        why = await _why(f"{address}/p2p/{CALLED.peer_id}")
        nursery.cancel_scope.cancel()
    assert why == f"what answers at {address} is no peer, or breaks off"
