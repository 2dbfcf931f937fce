"""The largest number of examples that fits: found by trying, or reckoned from what a few passes took."""

from collections.abc import Callable

CERTAIN = 2
"""The whole is believed to fit where it would even if further examples took so many times more each."""


def largest(fits: Callable[[int], bool], most: int) -> int:
    """Return the largest of 1 to `most` that fits, by doubling, then bisecting; 0 where not even 1 does."""
    good, bad = 0, most + 1
    while good < most:
        trial = min(2 * good or 1, most) if bad > most else (good + bad) // 2
        if trial == good:
            break
        good, bad = (trial, bad) if fits(trial) else (good, trial)
    return good


def reckon(height: Callable[[int], int], now: int, most: int, room: int) -> int:
    """Return how many of `most` examples fit, without ever taking more than should; 1 at the least.

    A system that runs out of memory ends processes without asking them, so there is no trying here: a pass
    over twice as many examples is made only where it should fit by what was measured before.

    Args:
        height: makes a pass over so many examples and returns the most bytes that were in use meanwhile.
        now: bytes in use before the first pass.
        most: examples.
        room: bytes that may be in use at the most.
    """
    count, top = 1, height(1)
    each = max(top - now, 1)
    while count < most:
        if count > 1 and top + CERTAIN * each * (most - count) <= room:
            return most
        more = min(2 * count, most)
        if top + each * (more - count) > room:
            break
        higher = height(more)
        each = max((higher - top) // (more - count), 1)
        count, top = more, max(higher, top)
    return min(max(count + (room - top) // each, 1), most)
