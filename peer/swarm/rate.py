"""A cap on bytes a second, shared by everything that goes one way."""

import math

import trio

LEAST = 64_000
"""Bytes a second of the lowest cap: below it, pieces of an object come too slowly for who waits for them."""

_SLICE = 256 * 1024
_SLICE_SECONDS = 0.125


class RateLimit:
    """Lets so many bytes pass in a second, in the order in which they ask."""

    def __init__(self, rate: float = math.inf) -> None:
        self._rate = rate
        self._free = -math.inf
        self._turn = trio.Lock()

    @property
    def slice(self) -> int:
        """Bytes to send at once: few where the cap is low, so that every receiver sees progress."""
        return int(min(_SLICE, self._rate * _SLICE_SECONDS))

    @property
    def ready(self) -> bool:
        """Whether `take` would not wait."""
        return trio.current_time() >= self._free and not self._turn.locked()

    async def take(self, size: int) -> None:
        """Wait until `size` bytes may pass."""
        if math.isinf(self._rate):
            return
        async with self._turn:
            await trio.sleep_until(self._free)
            self._free = max(self._free, trio.current_time()) + size / self._rate
