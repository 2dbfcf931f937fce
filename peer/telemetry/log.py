"""The one place to which the daemon tells what happens: the event log, and a line on the terminal."""

from contextlib import suppress
from datetime import datetime
from typing import Literal, TextIO

from peer.telemetry.event_file import EventFile, to_json
from peer.telemetry.events import Event

LogFormat = Literal["text", "json"]


class Log:
    """Appends each event to `file` and prints it to `stream`, as text or as JSON for a collector."""

    def __init__(self, file: EventFile, stream: TextIO, log_format: LogFormat) -> None:
        self._file = file
        self._stream = stream
        self._line = to_json if log_format == "json" else text_line

    def __call__(self, event: Event) -> None:
        """Record and print one event. Never raises: no full disk and no closed terminal stops a peer."""
        self._file.append(event)
        with suppress(OSError, ValueError):
            print(self._line(event), file=self._stream, flush=True)


def text_line(event: Event) -> str:
    """Return the event as a person reads it: local time, then what happened."""
    clock = datetime.fromtimestamp(event.time).astimezone().strftime("%H:%M:%S")
    return f"{clock} {event.describe()}"
