"""The one place to which the daemon tells what happens: the event log, and a line on the terminal."""

import shutil
from contextlib import suppress
from datetime import datetime
from typing import Literal, TextIO

from peer.telemetry.event import Event
from peer.telemetry.event_file import EventFile, to_json
from peer.telemetry.events import ExchangeDone, Skipped

ERASE_LINE = "\r\x1b[K"

INDENT = " " * 9
"""As wide as the time and a blank."""

LogFormat = Literal["text", "json"]


class Log:
    """Appends each event to `file` and prints it to `stream`, as text or as JSON for a collector."""

    def __init__(self, file: EventFile, stream: TextIO, log_format: LogFormat) -> None:
        self._file = file
        self._stream = stream
        self._line = to_json if log_format == "json" else text_lines
        self._people_read = log_format == "text"
        self._progress = ""
        self._skipped = ""

    def __call__(self, event: Event) -> None:
        """Record and print one event. Never raises: no full disk and no closed terminal stops a peer."""
        self._file.append(event)
        if not (self._people_read and self._is_known(event)):
            self._print(f"{self._line(event)}\n")

    def _is_known(self, event: Event) -> bool:
        """Whether a person has just read it: a peer that is alone skips each of its outer steps."""
        before = self._skipped
        if isinstance(event, Skipped):
            self._skipped = event.reason
            return event.reason == before
        if isinstance(event, ExchangeDone):
            self._skipped = ""
        return False

    def progress(self, line: str | None) -> None:
        """Show a line below the log that the next one replaces, on a terminal; None takes it away."""
        with suppress(OSError, ValueError):
            if self._people_read and self._stream.isatty():
                self._print("", (line or "")[: shutil.get_terminal_size().columns - 1])

    def _print(self, text: str, progress: str | None = None) -> None:
        erase = ERASE_LINE if self._progress else ""
        if progress is not None:
            self._progress = progress
        with suppress(OSError, ValueError):
            print(erase + text + self._progress, end="", file=self._stream, flush=True)


def text_lines(event: Event) -> str:
    """Return the event as `text_line` does, and below it what more it has to say."""
    return "\n".join([text_line(event), *(f"{INDENT}{line}" for line in event.block())])


def text_line(event: Event) -> str:
    """Return the event as a person reads it: local time, then what happened."""
    clock = datetime.fromtimestamp(event.time).astimezone().strftime("%H:%M:%S")
    return f"{clock} {event.describe()}"
