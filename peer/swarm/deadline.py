"""Deadlines that follow what was seen: median + k·MAD, between a floor and a ceiling (DESIGN.md 4)."""

import statistics
from collections import deque

REMEMBERED = 32
"""Durations that count: enough for a steady median, few enough to follow a link that changes."""

SPREADS = 6.0
"""k. For normal durations 6 MAD are 4 standard deviations: 1 honest exchange in 30,000 is cut off."""

SLACK = 1.5
"""Factor on the median, so that identical durations (MAD 0) still leave room."""


class AdaptiveDeadline:
    """How long to wait for something of which past durations are known."""

    def __init__(self, *, first: float, floor: float, ceiling: float) -> None:
        self._first, self._floor, self._ceiling = first, floor, ceiling
        self._seen: deque[float] = deque(maxlen=REMEMBERED)

    def observe(self, seconds: float) -> None:
        """Note a duration that ended well."""
        self._seen.append(seconds)

    def overran(self) -> None:
        """Note that the deadline cut something off: it may be too short, so the next one is longer."""
        self._seen.append(min(self.seconds * 2, self._ceiling))

    @property
    def seconds(self) -> float:
        """The deadline in force."""
        if not self._seen:
            return self._first
        median = statistics.median(self._seen)
        spread = statistics.median(abs(seconds - median) for seconds in self._seen)
        return min(max(SLACK * median + SPREADS * spread, self._floor), self._ceiling)
