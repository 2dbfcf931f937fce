"""A TCP forwarder that makes a loopback connection feel like a long one, in user space: needs no privileges.

What it cannot show is TCP's own recovery: a loss is a pause of one connection, and nothing is sent twice.
"""

import math
import random
import socket
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
from trio.abc import HalfCloseableStream

from tests.links.ladder import Link, Way

BURST = 64 * 1024
"""Bytes that travel together."""

INITIAL_WINDOW = 10 * 1460
"""Bytes in flight at first (RFC 6928)."""

IDLE = 1.0
"""Seconds after which a connection has to begin with the initial window again (RFC 2861)."""

LEAST_TIMEOUT = 0.2
"""Seconds that a retransmission time-out has beyond the round trip, as on Linux."""

_SOCKET_BUFFER = 256 * 1024
"""Bytes in the kernel on each side: what waits belongs to the link, not to sockets of the forwarder."""


class Road:
    """One direction of a link, which all its connections share: a queue, a bottleneck, a delay."""

    def __init__(self, way: Way, rng: random.Random) -> None:
        self.way = way
        self._rng = rng
        self._free = -math.inf

    async def enter(self, size: int) -> float:
        """Wait until the queue takes `size` bytes; return when they will be at the other end."""
        # Others that wait too may come first, and then it is full again.
        while (wait := self._free - self.way.queue - trio.current_time()) > 0:  # noqa: ASYNC110
            await trio.sleep(wait)
        self._free = max(self._free, trio.current_time()) + size / self.way.rate
        return self._free + self.way.delay + self._rng.random() * self.way.jitter

    def loses(self) -> bool:
        """Draw whether a burst is lost."""
        return self._rng.random() < self.way.loss


class Flow:
    """One direction of one connection: at most a window in flight, in order."""

    def __init__(self, road: Road, link: Link) -> None:
        self._road = road
        self._link = link
        self._window = min(INITIAL_WINDOW, link.window) if link.slow_start else link.window
        self._in_flight = 0
        self._acks: deque[tuple[float, int]] = deque()
        self._acked = trio.Event()
        self._last_arrival = self._last_sent = -math.inf

    async def run(self, source: HalfCloseableStream, sink: HalfCloseableStream) -> None:
        """Carry everything from `source` to `sink`, and the end of it.

        Raises:
            trio.BrokenResourceError: one of them broke.
        """
        send, receive = trio.open_memory_channel[tuple[float, bytes]](math.inf)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._arrive, receive, sink)
            async with send:
                while data := await source.receive_some(min(BURST, await self._room())):
                    self._in_flight += len(data)
                    await send.send((await self._travel(len(data)), data))
                await send.send((await self._travel(0), b""))

    async def _room(self) -> int:
        """Return the bytes that the window has room for, once it has room for any."""
        while True:
            now = trio.current_time()
            while self._acks and self._acks[0][0] <= now:
                size = self._acks.popleft()[1]
                self._in_flight -= size
                self._window = min(self._window + size, self._link.window)
            if self._link.slow_start and not self._in_flight and now - self._last_sent > IDLE:
                self._window = min(INITIAL_WINDOW, self._link.window)
            if self._in_flight < self._window:
                return self._window - self._in_flight
            if self._acks:
                await trio.sleep_until(self._acks[0][0])
            else:
                self._acked = trio.Event()
                await self._acked.wait()

    async def _travel(self, size: int) -> float:
        arrival = await self._road.enter(size)
        self._last_sent = trio.current_time()
        if self._road.loses():
            arrival += self._link.round_trip + LEAST_TIMEOUT
            self._window = max(self._window // 2, min(INITIAL_WINDOW, self._link.window))
        self._last_arrival = max(self._last_arrival, arrival)
        return self._last_arrival

    async def _arrive(
        self, bursts: trio.MemoryReceiveChannel[tuple[float, bytes]], sink: HalfCloseableStream
    ) -> None:
        back = self._link.round_trip - self._road.way.delay
        async for arrival, data in bursts:
            await trio.sleep_until(arrival)
            if not data:
                await sink.send_eof()
                return
            await sink.send_all(data)
            self._acks.append((trio.current_time() + back, len(data)))
            self._acked.set()


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
    async def forwarding(
        self, port: int, *, host: str = "127.0.0.2", near_port: int | None = None
    ) -> AsyncIterator[int]:
        """Forward what calls `host` to 127.0.0.1:`port`; give the port to call, by default the same.

        Another loopback address with the same port lets a program that tells its own port be found through
        the link.
        """
        listeners = await trio.open_tcp_listeners(port if near_port is None else near_port, host=host)
        for listener in listeners:
            _shrink(listener.socket)
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
                await self._join(near, port)
            except* (OSError, trio.BrokenResourceError, trio.ClosedResourceError):
                pass  # who broke it, and how, concerns the two ends alone
            finally:
                self._connections.discard(scope)
                await trio.aclose_forcefully(near)

    async def _join(self, near: trio.SocketStream, port: int) -> None:
        raw = trio.socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        _shrink(raw)
        await raw.connect(("127.0.0.1", port))
        far = trio.SocketStream(raw)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(Flow(self._up, self.link).run, near, far)
                nursery.start_soon(Flow(self._down, self.link).run, far, near)
        finally:
            await trio.aclose_forcefully(far)


def _shrink(raw: trio.socket.SocketType) -> None:
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SOCKET_BUFFER)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET_BUFFER)
