"""A curve in characters: braille dots, eight to a cell, or plain ASCII where the terminal has no more."""

from collections.abc import Sequence
from itertools import pairwise

BRAILLE = 0x2800

DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
"""Bit of each dot of a braille cell, by its column and row."""

EARLY = 10
"""The first tenth of a curve may leave the picture at the top: its fall would flatten all the rest."""


def curve(points: Sequence[tuple[int, float]], width: int, height: int, *, ascii_only: bool) -> list[str]:
    """Draw points, x rising, into `height` lines of `width` characters; fewer than two points give blanks."""
    if len(points) < 2 or width < 1 or height < 1:
        return [" " * width] * height
    across, down = (1, 1) if ascii_only else (2, 4)
    columns = _heights(points, width * across, height * down)
    cells = [[0] * width for _ in range(height)]
    for x, (low, high) in enumerate(columns):
        for y in range(low, high + 1):
            row = height * down - 1 - y
            cells[row // down][x // across] |= 1 if ascii_only else DOTS[x % across][row % down]
    mark = ord("*") - 1 if ascii_only else BRAILLE
    return ["".join(chr(mark + bits) if bits else " " for bits in line) for line in cells]


def limits(points: Sequence[tuple[int, float]]) -> tuple[float, float]:
    """Return the lowest and the highest value that a curve of these points shows."""
    first, last = points[0][0], points[-1][0]
    late = [value for step, value in points if (step - first) * EARLY >= last - first]
    low, high = min(value for _, value in points), max(late)
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def _heights(points: Sequence[tuple[int, float]], width: int, height: int) -> list[tuple[int, int]]:
    """Return the dots that each column has, from the lowest to the highest: a line without gaps."""
    low, high = limits(points)
    values = _resampled(points, width)
    rows = [round((min(max(value, low), high) - low) / (high - low) * (height - 1)) for value in values]
    before = [rows[0], *rows]
    # From halfway to the last column's dot, so that steep parts hang together and are one dot thick.
    return [
        (row, row) if abs(row - last) <= 1 else (min(row, last + 1), row) if row > last else (row, last - 1)
        for last, row in zip(before, rows, strict=False)
    ]


def _resampled(points: Sequence[tuple[int, float]], width: int) -> list[float]:
    """Return the value at each of `width` places: means where points are dense, a line where they are not."""
    first, last = points[0][0], points[-1][0]
    sums: dict[int, list[float]] = {}
    for step, value in points:
        sums.setdefault((step - first) * (width - 1) // max(last - first, 1), []).append(value)
    known = {x: sum(values) / len(values) for x, values in sums.items()}
    places = sorted(known)
    values: list[float] = []
    for left, right in pairwise(places):
        slope = (known[right] - known[left]) / (right - left)
        values += [known[left] + slope * step for step in range(right - left)]
    return [*values, known[places[-1]]]
