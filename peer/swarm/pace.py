"""How fast something grows, lately."""

from collections import deque

import trio

WINDOW = 10.0
"""Seconds that count: enough to smooth chunks, few enough to follow a link that changes."""


class Pace:
    """The rate of a total that is told whenever it has grown."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, float]] = deque()

    def note(self, total: float) -> None:
        """Take in the total as it is now."""
        self._seen.append((trio.current_time(), total))
        while len(self._seen) > 1 and self._seen[1][0] <= trio.current_time() - WINDOW:
            self._seen.popleft()

    @property
    def rate(self) -> float:
        """Growth a second, from the first note of the last `WINDOW` seconds until now."""
        if len(self._seen) < 2:
            return 0.0
        (began, first), (_, last) = self._seen[0], self._seen[-1]
        seconds = trio.current_time() - began
        return max(last - first, 0.0) / seconds if seconds else 0.0
