"""A cap on bytes a second, shared by everything that goes one way."""

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

LEAST = 64_000
"""Bytes a second of the lowest cap: below it, pieces of an object come too slowly for who waits for them."""

FOR_OTHERS = 1 << 20
"""Bytes a second that a relay carries at the most."""

LONGEST_DEBT = 5.0
"""Seconds to wait at the most for what has come another way: more may have been allowed while it came."""

_SLICE = 256 * 1024
_SLICE_SECONDS = 0.125


class RateLimit:
    """Lets so many bytes pass in a second. Those who ask take turns, however many times each asks at once."""

    def __init__(self, rate: float = math.inf) -> None:
        self._rate = rate
        self.changed = trio.Event()
        """Set by the next change, and then another event."""
        self._free = -math.inf
        self._turn = trio.Lock()
        self._queues: dict[str, _Queue] = {}

    @property
    def rate(self) -> float:
        """Bytes a second; infinite where there is no cap."""
        return self._rate

    def change(self, rate: float) -> None:
        """Let so many bytes pass in a second from now on."""
        if rate != self._rate:
            self._rate = rate
            self.changed.set()
            self.changed = trio.Event()

    @property
    def slice(self) -> int:
        """Bytes to send at once: few where the cap is low, so that every receiver sees progress."""
        return int(min(_SLICE, self._rate * _SLICE_SECONDS))

    @property
    def ready(self) -> bool:
        """Whether `take` would not wait."""
        return trio.current_time() >= self._free and not self._turn.locked()

    def came(self, size: int) -> None:
        """Count bytes that have passed on the same line by another way: who asks next waits for them too."""
        now = trio.current_time()
        free = max(self._free, now)
        self._free = max(free, min(free + size / self._rate, now + LONGEST_DEBT))

    async def take(self, size: int, who: str = "") -> None:
        """Wait until `size` bytes of somebody's may pass."""
        if math.isinf(self._rate):
            return
        async with self._first_of(who), self._turn:
            await trio.sleep_until(self._free)
            self._free = max(self._free, trio.current_time()) + size / self._rate

    @asynccontextmanager
    async def _first_of(self, who: str) -> AsyncIterator[None]:
        """Wait for the others of one who asks: only its first waits for the turn."""
        queue = self._queues.setdefault(who, _Queue())
        queue.length += 1
        try:
            async with queue.first:
                yield
        finally:
            queue.length -= 1
            if not queue.length:
                del self._queues[who]


class _Queue:
    def __init__(self) -> None:
        self.first = trio.Lock()
        self.length = 0
