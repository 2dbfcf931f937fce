"""How long the ranks may take over what needs all of them: one that hangs has all the others wait."""

import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

LOOK = 5.0
"""Seconds between two looks."""

AT_FIRST = 3600.0
"""Seconds for what was never done before: loading the model, and the first step, which tries what fits."""

LEAST = 600.0
"""Seconds for all that comes later, however short it was until then."""

LONGER = 10.0
"""Times as long as the longest so far, where that is more."""


_log = logging.getLogger(__name__)


class Patience:
    """Counts looks and no clock's seconds: while the machine sleeps or is frozen, nobody looks."""

    def __init__(self) -> None:
        self._changing = threading.Lock()
        self._looks: int | None = None
        """None while nobody waits."""
        self._allowed = AT_FIRST
        self._longest = 0.0

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Do something that needs all ranks, for the first time."""
        with self._changing:
            self._looks = 0
        try:
            yield
        finally:
            with self._changing:
                self._looks = None

    @contextmanager
    def stepping(self) -> Iterator[None]:
        """Take an inner step; once one was taken, the next may not be much longer than the longest so far."""
        with self.waiting():
            yield
            took = LOOK * (self._looks or 0)
        self._longest = max(self._longest, took)
        self._allowed = max(LEAST, LONGER * self._longest)

    def is_over(self) -> bool:
        """Look, and return whether it takes too long: every `LOOK` seconds, on another thread."""
        with self._changing:
            if self._looks is None:
                return False
            self._looks += 1
            return LOOK * self._looks > self._allowed

    def watch(self) -> None:
        """End this process once it takes too long, and with it all ranks: on another thread, for ever."""
        while not self.is_over():
            time.sleep(LOOK)
        _log.error("a rank hangs, as a step that needs them all does not end: all end")
        os._exit(1)
