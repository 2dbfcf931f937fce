"""Leaving those alone with whom something went wrong, for longer each time."""

from collections import OrderedDict
from dataclasses import dataclass

import trio

MOST = 1024
"""Names kept in mind; those that failed last count."""


@dataclass(frozen=True, slots=True)
class _Pause:
    seconds: float
    until: float


class Backoff:
    """Pauses of `first` seconds, twice as long with each failure, `longest` at the most."""

    def __init__(self, first: float, longest: float) -> None:
        self._first = first
        self._longest = longest
        self._pauses: OrderedDict[str, _Pause] = OrderedDict()

    def failed(self, name: str, *, hopeless: bool = False) -> float:
        """Note a failure, for the longest pause where it is hopeless; return until when the pause lasts."""
        known = self._pauses.pop(name, None)
        seconds = min(2 * known.seconds, self._longest) if known is not None else self._first
        pause = _Pause(seconds, trio.current_time() + (self._longest if hopeless else seconds))
        self._pauses[name] = pause
        while len(self._pauses) > MOST:
            self._pauses.popitem(last=False)
        return pause.until

    def worked(self, name: str) -> None:
        """Note that all is well again."""
        self._pauses.pop(name, None)

    def pauses(self, name: str) -> bool:
        """Say whether somebody is to be left alone now."""
        pause = self._pauses.get(name)
        return pause is not None and pause.until > trio.current_time()
