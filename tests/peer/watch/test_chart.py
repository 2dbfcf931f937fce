"""Curves in characters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peer.watch.chart import curve, limits

RISE = tuple((step, float(step)) for step in range(5))


def _drawn(points, width, height):
    return curve(points, width, height, ascii_only=True)


def test_a_rising_line_rises():
    assert _drawn(RISE, 5, 5) == ["    *", "   * ", "  *  ", " *   ", "*    "]


def test_in_braille_a_cell_has_eight_dots():
    assert curve(RISE, 3, 1, ascii_only=False) == ["⡠⠒⠉"]
    assert curve(((0, 1.0), (1, 1.0)), 2, 1, ascii_only=False) == ["⠒⠒"]


def test_the_fall_at_the_start_does_not_flatten_the_rest():
    points = ((0, 100.0), *((step, 3.0 - step / 100) for step in range(10, 101)))
    assert limits(points) == (2.0, 2.9)


def test_steep_parts_hang_together():
    lines = _drawn(((0, 0.0), (1, 0.0), (2, 9.0), (3, 9.0)), 4, 10)
    assert all("*" in line for line in lines)


@pytest.mark.parametrize("points", [(), ((1, 2.0),)])
def test_less_than_two_points_are_no_curve(points):
    assert _drawn(points, 4, 2) == ["    ", "    "]


@given(
    st.lists(
        st.tuples(st.integers(0, 10**9), st.floats(-1e6, 1e6)),
        min_size=2,
        max_size=50,
        unique_by=lambda p: p[0],
    ),
    st.integers(1, 60),
    st.integers(1, 12),
    st.booleans(),
)
def test_any_points_fill_exactly_the_room(points, width, height, ascii_only):
    lines = curve(sorted(points), width, height, ascii_only=ascii_only)
    assert [len(line) for line in lines] == [width] * height
    for column in zip(*lines, strict=True):
        assert set(column) != {" "} or not ascii_only, "no gaps"
