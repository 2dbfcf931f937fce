"""Notices that the machine slept: the clock on the wall went on, and nothing here did."""

import time
from collections.abc import Callable

NAP = 60.0
"""Seconds beyond what was expected that count: a busy machine is late by less."""


class Suspension:
    """Compares the clock on the wall from one look to the next.

    A clock that is set forward looks the same: what follows from this must do no harm.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._last = clock()

    def over(self, expected: float) -> bool:
        """Whether far more than the `expected` seconds have passed since the last look."""
        now = self._clock()
        passed, self._last = now - self._last, now
        return passed > expected + NAP
