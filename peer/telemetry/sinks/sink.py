"""What takes numbers over steps, and the thread that keeps it from holding anything up."""

import queue
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

MOST_WAITING = 1000
"""Points that wait for a sink that is slow; what comes beyond them is dropped and counted."""


class Sink(Protocol):
    """Takes the numbers of one step after the other. Whatever a method raises ends this sink alone."""

    def write(self, moment: float, step: int, values: Mapping[str, float]) -> None:
        """Take in what was true at `moment` (seconds since 1970), after inner step `step`."""

    def close(self) -> None:
        """Bring everything to where it belongs."""


@dataclass(frozen=True, slots=True)
class SinkStatistics:
    """What became of the points."""

    written: int
    dropped: int
    failure: str | None
    """Why nothing more is written; None where all is well."""


_Point = tuple[float, int, Mapping[str, float]]


class SinkThread:
    """Opens and feeds one sink in a thread of its own: it may block or fail, and training goes on.

    Attributes:
        name: as a person knows it.
    """

    def __init__(self, name: str, open_sink: Callable[[], Sink]) -> None:
        self.name = name
        self._open_sink = open_sink
        self._points: queue.Queue[_Point | None] = queue.Queue(MOST_WAITING)
        self._written = self._dropped = 0
        self._failure: str | None = None
        # A sink that hangs must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name=f"sink-{name}", daemon=True)
        self._thread.start()

    def put(self, step: int, values: Mapping[str, float]) -> None:
        """Hand over the numbers of a step. Never waits, never raises."""
        try:
            self._points.put_nowait((time.time(), step, values))
        except queue.Full:
            self._dropped += 1

    def close(self, patience: float) -> bool:
        """Write what waits, and close; return whether that was done within `patience` seconds."""
        with suppress(queue.Full):
            self._points.put_nowait(None)
        self._thread.join(patience)
        return not self._thread.is_alive()

    def statistics(self) -> SinkStatistics:
        """Counters since the start."""
        return SinkStatistics(self._written, self._dropped, self._failure)

    def _run(self) -> None:
        try:
            sink = self._open_sink()
            while (point := self._points.get()) is not None:
                sink.write(*point)
                self._written += 1
            sink.close()
        except BaseException as error:  # noqa: BLE001 - whatever fails in it, even an exit, concerns it alone
            self._failure = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
