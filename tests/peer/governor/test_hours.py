"""Hours as people write them, over midnight, over weekends and over the end of the week."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peer.governor.hours import parse_hours

MONDAY = datetime(2026, 11, 2)  # noqa: DTZ001 - the clock on the wall has no zone


def at(day: str, clock: str) -> datetime:
    days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"].index(day)
    hour, minute = map(int, clock.split(":"))
    return MONDAY + timedelta(days=days, hours=hour, minutes=minute)


@pytest.mark.parametrize(
    ("text", "day", "clock", "allowed"),
    [
        ("22:00-07:00", "mon", "21:59", False),
        ("22:00-07:00", "mon", "22:00", True),
        ("22:00-07:00", "tue", "06:59", True),
        ("22:00-07:00", "tue", "07:00", False),
        ("22:00-07:00", "mon", "03:00", True),
        ("9:00 - 17:30", "wed", "17:29", True),
        ("9:00-17:30", "wed", "17:30", False),
        ("mon-fri 19:00-07:00, sat-sun", "fri", "12:00", False),
        ("mon-fri 19:00-07:00, sat-sun", "sat", "12:00", True),
        ("mon-fri 19:00-07:00, sat-sun", "sun", "23:59", True),
        ("mon-fri 19:00-07:00, sat-sun", "mon", "06:00", False),  # Sunday's night is nobody's
        ("sun 22:00-07:00", "mon", "06:59", True),
        ("sun 22:00-07:00", "mon", "07:00", False),
        ("fri-mon", "sun", "00:00", True),
        ("fri-mon", "tue", "00:00", False),
        ("Sat", "sat", "23:59", True),
        ("18:00-24:00", "mon", "23:59", True),
        ("18:00-24:00", "tue", "00:00", False),
        ("08:00-08:00", "thu", "04:00", True),
        ("00:00-24:00", "thu", "04:00", True),
        ("0:00-6:00, 12:00-14:00", "thu", "13:00", True),
        ("0:00-6:00, 12:00-14:00", "thu", "07:00", False),
    ],
)
def test_hours_hold_when_they_say(text, day, clock, allowed):
    assert parse_hours(text).hold(at(day, clock)) is allowed


@pytest.mark.parametrize(
    ("text", "always"),
    [
        ("07:00-07:00", True),
        ("mon-sun", True),
        ("22:00-07:00, 07:00-22:00", True),
        ("mon 07:00-07:00", False),
        ("22:00-07:00", False),
    ],
)
def test_hours_that_never_close_are_known(text, always):
    assert parse_hours(text).always is always


@pytest.mark.parametrize(
    ("text", "day", "clock", "opening"),
    [
        ("22:00-07:00", "mon", "12:00", "at 22:00"),
        ("22:00-07:00", "mon", "07:00", "at 22:00"),
        ("sat-sun", "mon", "12:00", "on Saturday at 00:00"),
        ("sat-sun", "fri", "12:00", "at 00:00"),
        ("mon 08:30-09:00", "mon", "09:00", "on Monday at 08:30"),
        ("0:00-6:00, 12:00-14:00", "thu", "07:00", "at 12:00"),
    ],
)
def test_they_say_when_they_begin(text, day, clock, opening):
    assert parse_hours(text).opening(at(day, clock)) == opening


@pytest.mark.parametrize(
    "text",
    ["", " ", "night", "22-7", "22:00", "25:00-07:00", "22:60-07:00", "22:00-24:30", "mon-", "monday", "mon,",
     "mon 22:00", "22:00-07:00;", "-", "22:00-07:00 mon"],
)  # fmt: skip
def test_what_is_none_is_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011 - who asks for them words it
        parse_hours(text)


@given(
    st.integers(0, 23),
    st.integers(0, 59),
    st.integers(0, 23),
    st.integers(0, 59),
    st.integers(0, 7 * 1440 - 1),
)
def test_a_span_and_its_opposite_share_no_minute_and_leave_none(hour, minute, to, to_minute, now):
    begin, end = f"{hour:02}:{minute:02}", f"{to:02}:{to_minute:02}"
    when = MONDAY + timedelta(minutes=now)
    inside = parse_hours(f"{begin}-{end}").hold(when)
    if begin == end:
        assert inside
    else:
        assert inside is not parse_hours(f"{end}-{begin}").hold(when)


@given(st.integers(0, 7 * 1440 - 1))
def test_where_they_do_not_hold_they_hold_at_the_opening_that_is_told(now):
    hours, when = parse_hours("tue 23:30-01:00, fri 12:00-13:00"), MONDAY + timedelta(minutes=now)
    if not hours.hold(when):
        clock = hours.opening(when).rpartition(" ")[2]
        later = (when + timedelta(minutes=each) for each in range(1, 7 * 1440 + 1))
        opened = next(each for each in later if hours.hold(each))
        assert f"{opened:%H:%M}" == clock
