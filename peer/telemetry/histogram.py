"""A histogram that costs one increment an observation, and can be read at any time."""

from bisect import bisect_left
from dataclasses import dataclass

EXCHANGE_SECONDS: tuple[float, ...] = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000)
"""Upper bounds in seconds, from a toy model on one host to gigabytes over a home's uplink."""


@dataclass(frozen=True, slots=True)
class HistogramStatistics:
    """What was observed up to now.

    Attributes:
        bounds: upper bounds of the buckets, rising.
        counts: observations per bucket, not cumulated; one more than `bounds`, for what lies above the last.
        total: the sum of all observations.
    """

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    total: float

    def cumulated(self) -> list[tuple[str, float]]:
        """Return (upper bound, observations at or below it) for each bucket, as Prometheus wants them."""
        names = [*(str(float(bound)) for bound in self.bounds), "+Inf"]
        sums, below = [], 0
        for count in self.counts:
            below += count
            sums.append(float(below))
        return list(zip(names, sums, strict=True))


class Histogram:
    """Counts observations per bucket."""

    def __init__(self, bounds: tuple[float, ...] = EXCHANGE_SECONDS) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._total = 0.0

    def observe(self, value: float) -> None:
        """Count `value` in the first bucket whose bound is not below it."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._total += value

    def statistics(self) -> HistogramStatistics:
        """Return the counts since the start."""
        return HistogramStatistics(self._bounds, tuple(self._counts), self._total)
