"""Two peers of a memory network and a stream between them, for tests of the layers above."""

from contextlib import asynccontextmanager

import trio

from peer.simulate.network import Network
from protocol.identity import Identity

ONE, TWO = Identity(b"1" * 32), Identity(b"2" * 32)


@asynccontextmanager
async def two_peers(protocol, handler):
    """Yield (network, caller, callee, contact of the callee); the callee serves `handler`."""
    from peer.swarm.transport import Contact

    network = Network()
    caller, callee = network.add(ONE.peer_id), network.add(TWO.peer_id)
    callee.handle(protocol, handler)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(caller.serve)
        nursery.start_soon(callee.serve)
        yield network, caller, callee, Contact(TWO.peer_id, (f"/memory/{TWO.peer_id}",))
        nursery.cancel_scope.cancel()
