"""A TCP forwarder that makes a loopback connection feel like a long one, in user space: needs no privileges.

What it cannot show is TCP's own recovery: a loss is a pause of one connection, and nothing is sent twice.
"""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from peer.links.carry import call, carry, shrink
from peer.links.ladder import Link
from peer.links.roads import Flow, Road


class Shaper:
    """One link: every connection through it shares its rates. Callers are on the near side."""

    def __init__(self, link: Link, *, seed: int = 0) -> None:
        self.link = link
        rng = random.Random(seed)
        self._up, self._down = Road(link.up, rng), Road(link.down, rng)
        self._connections: set[trio.CancelScope] = set()
        self.connections = 0
        """Accepted so far."""

    @asynccontextmanager
    async def forwarding(self, port: int, *, host: str = "127.0.0.2") -> AsyncIterator[int]:
        """Forward what calls the same port of `host` to 127.0.0.1:`port`; give the port to call.

        Another loopback address with the same port lets a program that tells its own port be found through
        the link.
        """
        listeners = await trio.open_tcp_listeners(port, host=host)
        for listener in listeners:
            shrink(listener.socket)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.serve_listeners, lambda near: self._serve(near, port), listeners)
            yield listeners[0].socket.getsockname()[1]
            nursery.cancel_scope.cancel()

    def cut(self) -> None:
        """Break every connection; new ones are taken."""
        for scope in list(self._connections):
            scope.cancel()

    async def _serve(self, near: trio.SocketStream, port: int) -> None:
        self.connections += 1
        with trio.CancelScope() as scope:
            self._connections.add(scope)
            try:
                # The handshake that the caller believes is over.
                await trio.sleep(self.link.round_trip)
                async with call("127.0.0.1", port) as far:
                    await carry(near, far, Flow(self._up, self.link), Flow(self._down, self.link))
            except* (OSError, trio.BrokenResourceError, trio.ClosedResourceError):
                pass  # who broke it, and how, concerns the two ends alone
            finally:
                self._connections.discard(scope)
                await trio.aclose_forcefully(near)
