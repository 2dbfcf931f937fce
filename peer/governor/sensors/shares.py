"""Shares of a GPU's time, where a system tells only for how long each process has used it."""

import time
from collections.abc import Callable
from typing import Generic, TypeVar

K = TypeVar("K")


class Shares(Generic[K]):
    """Turns nanoseconds since a process began into its share of the time since the last look."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._before: dict[K, int] = {}
        self._at: float | None = None

    def of(self, used: dict[K, int]) -> dict[K, float]:
        """Return the share of each that has used it since the last look; nothing at the first."""
        now = self._clock()
        passed = now - self._at if self._at is not None else 0.0
        before, self._before, self._at = self._before, used, now
        if passed <= 0:
            return {}
        fresh = {key: total - before.get(key, total) for key, total in used.items()}
        return {key: min(each / 1e9 / passed, 1.0) for key, each in fresh.items() if each > 0}
