"""Hours of the week in which a peer may train: `22:00-07:00`, or `mon-fri 19:00-07:00, sat-sun`."""

import re
from dataclasses import dataclass
from datetime import datetime

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

DAY = 24 * 60
WEEK = 7 * DAY
"""In minutes."""

_DAYS = "|".join(DAYS)
_PART = re.compile(
    rf"(?:(?P<first>{_DAYS})(?:-(?P<last>{_DAYS}))?)?\s*"
    r"(?:(?P<from>[01]?\d|2[0-3]):(?P<from_minute>[0-5]\d)\s*-\s*(?P<to>[01]?\d|2[0-4]):(?P<to_minute>[0-5]\d))?"
)


@dataclass(frozen=True, slots=True)
class Span:
    """Minutes of the week, counted from Monday 0:00: from `begin` on, `length` of them."""

    begin: int
    length: int

    def holds(self, minute: int) -> bool:
        """Whether a minute of the week lies in it. Sunday's night goes on into Monday."""
        return (minute - self.begin) % WEEK < self.length


@dataclass(frozen=True, slots=True)
class Hours:
    """When a peer may train, by the clock on the wall.

    Attributes:
        text: as the person wrote it.
    """

    text: str
    spans: tuple[Span, ...]

    def hold(self, now: datetime) -> bool:
        """Whether training is allowed at this local time."""
        minute = _minute_of_week(now)
        return any(span.holds(minute) for span in self.spans)

    @property
    def always(self) -> bool:
        """Whether they close at no time."""
        return all(any(span.holds(minute) for span in self.spans) for minute in range(WEEK))

    def opening(self, now: datetime) -> str:
        """Say when they begin next: "at 22:00", or "on Saturday at 08:00" where that is a day away."""
        minute = _minute_of_week(now)
        ahead = min((span.begin - minute) % WEEK or WEEK for span in self.spans)
        day, begins = divmod((minute + ahead) % WEEK, DAY)
        clock = f"at {begins // 60:02}:{begins % 60:02}"
        return clock if ahead < DAY else f"on {_NAMES[day]} {clock}"


def parse_hours(text: str) -> Hours:
    """Return the hours that are written so: parts with commas between, each of days, of a time, or of both.

    A span over midnight belongs to the day on which it begins.

    Raises:
        ValueError: they are not written so.
    """
    spans = [span for part in text.split(",") for span in _spans(part.strip().lower())]
    return Hours(text.strip(), tuple(spans))


def _spans(part: str) -> list[Span]:
    match = _PART.fullmatch(part)
    if match is None or not part:
        raise ValueError(part)
    begin, length = _times(match)
    return [Span((day * DAY + begin) % WEEK, length) for day in _days(match["first"], match["last"])]


def _times(match: re.Match[str]) -> tuple[int, int]:
    """Return when a span begins and how long it is, in minutes. The same time twice is a whole day."""
    if match["from"] is None:
        return 0, DAY
    begin = int(match["from"]) * 60 + int(match["from_minute"])
    end = int(match["to"]) * 60 + int(match["to_minute"])
    if end > DAY:
        raise ValueError(match[0])
    return begin, (end - begin) % DAY or DAY


def _days(first: str | None, last: str | None) -> list[int]:
    if first is None:
        return list(range(7))
    begin = DAYS.index(first)
    count = (DAYS.index(last or first) - begin) % 7 + 1
    return [(begin + each) % 7 for each in range(count)]


def _minute_of_week(now: datetime) -> int:
    return now.weekday() * DAY + now.hour * 60 + now.minute
