"""Callers that have not yet proved that they may open a lane, counted by where they come from."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

MOST = 64
MOST_OF_ONE = 32
"""From one host: four peers behind one router, each opening as many lanes as one may."""


class Door:
    """Bounds how many wait."""

    def __init__(self) -> None:
        self._waiting: Counter[str] = Counter()

    @contextmanager
    def one(self, host: str) -> Iterator[bool]:
        """Count a caller while it proves itself; give whether there is room for it."""
        if self._waiting.total() >= MOST or self._waiting[host] >= MOST_OF_ONE:
            yield False
            return
        self._waiting[host] += 1
        try:
            yield True
        finally:
            self._waiting[host] -= 1
            if not self._waiting[host]:
                del self._waiting[host]
