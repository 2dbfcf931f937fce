"""Bytes that a peer has moved in this calendar month, over restarts: `traffic.json` in its home."""

from calendar import month_name, monthrange
from datetime import date
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from peer.daemon.home import write_atomically
from peer.errors import HomeError
from peer.governor.readings import MonthUse

_FILE = "traffic.json"
DAY = 86400.0

KEPT = 3
"""Months that are remembered: a clock that is wrong for a while, as after a start, must not forget one."""

SAVED_EVERY = 60.0
"""Seconds between two writings: a peer that is killed forgets so much at the most."""


_Months = dict[str, Annotated[int, Meta(ge=0)]]
"""Bytes by month (2026-11), the one that was counted last at the end."""


class Traffic:
    """Counts by the month. It is fed with counters that begin at 0 when the daemon does."""

    def __init__(self, home: Path, today: date) -> None:
        self._path = home / _FILE
        self._counted = 0
        self._saved_at = float("-inf")
        self._unsaved = False
        self.failures = 0
        """Times that the disk did not take it."""
        self._months = self._recall()
        self._turn_to(today)

    def note(self, moved: int, today: date) -> MonthUse:
        """Take in how many bytes have moved since the daemon began, both ways, and return the month's use."""
        self._turn_to(today)
        fresh = max(moved - self._counted, 0)
        self._counted = moved
        self._months[_key(today)] += fresh
        self._unsaved = self._unsaved or fresh > 0
        return self.use(today)

    def due(self, at: float) -> bool:
        """Whether it should be written now, `at` seconds of a clock that never goes back."""
        return self._unsaved and at - self._saved_at >= SAVED_EVERY

    def use(self, today: date) -> MonthUse:
        """Return the month's use as far as it is known."""
        left = (monthrange(today.year, today.month)[1] - today.day + 1) * DAY
        until = f"1 {month_name[today.month % 12 + 1]}"
        return MonthUse(self._months.get(_key(today), 0), month_name[today.month], until, left)

    def save(self, at: float) -> None:
        """Write it down. A disk that refuses costs the memory of it, and no more. It may block."""
        self._unsaved, self._saved_at = False, at
        try:
            write_atomically(self._path, msgspec.json.encode(self._months) + b"\n")
        except HomeError:
            self._unsaved, self.failures = True, self.failures + 1

    def _turn_to(self, today: date) -> None:
        key = _key(today)
        if next(reversed(self._months), None) != key:
            self._months[key] = self._months.pop(key, 0)
            for oldest in list(self._months)[:-KEPT]:
                del self._months[oldest]

    def _recall(self) -> _Months:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=_Months)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return {}


def add(home: Path, size: int, today: date) -> None:
    """Count bytes that have moved while no daemon counts in this home."""
    traffic = Traffic(home, today)
    traffic.note(size, today)
    traffic.save(0.0)


def _key(today: date) -> str:
    return f"{today:%Y-%m}"
