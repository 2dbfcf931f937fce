"""A value over the inner steps of a whole run, in bounded memory: the longer the run, the coarser."""

import math
from collections.abc import Iterable

import msgspec

MOST = 256
"""Points kept: more than a terminal is wide, and a few kilobytes on disk."""

Points = tuple[tuple[int, float], ...]
"""Inner step and value, the steps rising."""


class Kept(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A history as it lies on disk."""

    width: int
    buckets: list[tuple[int, int, float]]
    """Last inner step, inner steps, and the sum of the value over them, for each bucket."""


class History:
    """Means over buckets of equal width, in inner steps. When there are too many, the width doubles.

    A step that is noted again, as by a trainer that went back to its checkpoint, replaces what followed it.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._width = 1
        self._buckets: dict[int, tuple[int, int, float]] = {}
        """By their number, step // width, rising."""

    def note(self, step: int, value: float, steps: int = 1) -> None:
        """Take in the mean `value` of the `steps` inner steps up to `step`; infinity and nan are left out."""
        self.go_back(step - steps)
        if not math.isfinite(value):
            return
        self._add(step, steps, value * steps)
        while len(self._buckets) > self._most:
            self._halve()

    def go_back(self, step: int) -> None:
        """Forget what came after an inner step; of the bucket that it cuts, the mean stays."""
        while self._buckets:
            number, (last, count, total) = next(reversed(self._buckets.items()))
            if last <= step:
                return
            del self._buckets[number]
            left = count - (last - step)
            if left > 0:
                # By its own number, which is lower where one report was wider than a bucket.
                self._add(step, left, total / count * left)

    def points(self) -> Points:
        """Return the mean of each bucket at its last inner step."""
        return tuple((last, total / count) for last, count, total in self._buckets.values())

    def kept(self) -> Kept:
        """Return what a file keeps of it."""
        return Kept(self._width, list(self._buckets.values()))

    def restore(self, kept: Kept) -> None:
        """Begin with what a file has kept; what makes no sense is left out."""
        self._width = max(kept.width, 1)
        self._buckets = {}
        self._take(kept.buckets)

    def _halve(self) -> None:
        buckets, self._buckets = self._buckets, {}
        self._width *= 2
        self._take(buckets.values())

    def _take(self, buckets: Iterable[tuple[int, int, float]]) -> None:
        before = 0
        for last, count, total in buckets:
            if last > before and count > 0:
                before = last
                self._add(last, count, total)

    def _add(self, last: int, count: int, total: float) -> None:
        number = (last - 1) // self._width
        _, counted, sum_ = self._buckets.get(number, (0, 0, 0.0))
        self._buckets[number] = (last, counted + count, sum_ + total)
