"""What carries bytes from one end to the other as a link would: in bursts, at its rate, after its delay."""

import math
import random
from collections import deque
from dataclasses import dataclass
from typing import Protocol

import trio
from trio.abc import HalfCloseableStream

from peer.links.ladder import Link, Way

BURST = 64 * 1024
"""Bytes that travel together."""

INITIAL_WINDOW = 10 * 1460
"""Bytes in flight at first (RFC 6928)."""

IDLE = 1.0
"""Seconds after which a connection has to begin with the initial window again (RFC 2861)."""

LEAST_TIMEOUT = 0.2
"""Seconds that a retransmission time-out has beyond the round trip, as on Linux."""


class Carrier(Protocol):
    """What a flow sends its bursts over."""

    @property
    def delay(self) -> float:
        """Seconds that every byte travels at least."""

    async def enter(self, size: int) -> float:
        """Wait until there is room for `size` bytes; return when they will be at the other end."""

    def loses(self) -> bool:
        """Draw whether a burst is lost."""


class Road:
    """One direction of a link, which all its connections share: a queue, a bottleneck, a delay."""

    def __init__(self, way: Way, rng: random.Random) -> None:
        self.way = way
        self._rng = rng
        self._free = -math.inf
        self._open = trio.Event()
        self._open.set()

    @property
    def delay(self) -> float:
        """Seconds that every byte travels, without jitter."""
        return self.way.delay

    def close(self) -> None:
        """Take nothing more until `reopen`: what wants to enter waits, and what is under way arrives."""
        if self._open.is_set():
            self._open = trio.Event()

    def reopen(self) -> None:
        """End a closure."""
        self._open.set()

    async def passable(self) -> None:
        """Wait while it is closed."""
        await self._open.wait()

    async def enter(self, size: int) -> float:
        """Wait until the queue takes `size` bytes; return when they will be at the other end."""
        await self.passable()
        # Others that wait too may come first, and then it is full again.
        while (wait := self._free - self.way.queue - trio.current_time()) > 0:
            await trio.sleep(wait)
            await self.passable()
        return self.take(trio.current_time(), size)

    def take(self, at: float, size: int) -> float:
        """Return when `size` bytes that come to its beginning at `at` will be at the other end."""
        self._free = max(self._free, at) + size / self.way.rate
        return self._free + self.way.delay + self._rng.random() * self.way.jitter

    def loses(self) -> bool:
        """Draw whether a burst is lost."""
        return self._rng.random() < self.way.loss


@dataclass(frozen=True, slots=True)
class Tandem:
    """A road out of a house and one into another, as one: its way up, and their way down."""

    first: Road
    second: Road

    @property
    def delay(self) -> float:
        """Seconds that every byte travels, without jitter."""
        return self.first.delay + self.second.delay

    async def enter(self, size: int) -> float:
        """Wait until the first takes `size` bytes, and neither is closed; return when they will be there."""
        await self.second.passable()
        return self.second.take(await self.first.enter(size), size)

    def loses(self) -> bool:
        """Draw whether a burst is lost on either."""
        return self.first.loses() or self.second.loses()


class Flow:
    """One direction of one connection: at most a window in flight, in order."""

    def __init__(self, road: Carrier, link: Link) -> None:
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
        back = self._link.round_trip - self._road.delay
        async for arrival, data in bursts:
            await trio.sleep_until(arrival)
            if not data:
                await sink.send_eof()
                return
            await sink.send_all(data)
            self._acks.append((trio.current_time() + back, len(data)))
            self._acked.set()
