"""The event log on disk: JSON lines, appended; bounded in size, and readable after a crash in mid-line."""

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import msgspec

from peer.telemetry.event import Event
from peer.telemetry.events import AnyEvent

MAX_SIZE = 64 * 1024 * 1024
"""Bytes of one file; with the old one kept, some 600,000 events."""

MAX_LINE = 64 * 1024
"""Bytes of a line that is worth decoding: ten times the longest event."""

TAIL = 64 * 1024
"""Bytes at the end of a log with which who follows it begins: some hundred events."""

_decoder: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent)


@dataclass(frozen=True, slots=True)
class EventFileStatistics:
    """What became of the events."""

    written: int
    lost: int
    """Events that the disk did not take."""
    rotations: int


def to_json(event: Event) -> str:
    """Return the event as one line of ASCII, so that no terminal or log collector stumbles over it."""
    return json.dumps(msgspec.to_builtins(event))


class EventFile:
    """Appends events to `path`, each in one write; keeps one older file beside it, `path` + ".1".

    Raises:
        OSError: the file cannot be opened. Later failures are counted, never raised.
    """

    def __init__(self, path: Path, *, max_size: int = MAX_SIZE) -> None:
        self._path = path
        self._max_size = max_size
        self._written = self._lost = self._rotations = 0
        self._open()

    def _open(self) -> None:
        self._file = self._path.open("ab", buffering=0)
        self._size = self._file.tell()
        self._torn = self._size > 0 and not _ends_a_line(self._path)

    def append(self, event: Event) -> None:
        """Write one event. A disk that is full costs the event, never the daemon."""
        line = to_json(event).encode("ascii") + b"\n"
        try:
            if self._size and self._size + len(line) > self._max_size:
                self._rotate()
            # What a crash or a full disk left of a line must not swallow this one.
            data = b"\n" + line if self._torn else line
            taken = self._file.write(data)
            self._size += taken
            self._torn = taken < len(data)
        except OSError:
            self._torn = True
            self._lost += 1
            return
        self._lost += self._torn
        self._written += not self._torn

    def _rotate(self) -> None:
        # The full file stays in use until its successor is open; then it may already have its new name.
        full = self._file
        with suppress(FileNotFoundError):
            self._path.replace(older(self._path))
        self._open()
        full.close()
        self._rotations += 1

    def statistics(self) -> EventFileStatistics:
        """Counters since the file was opened."""
        return EventFileStatistics(self._written, self._lost, self._rotations)

    def close(self) -> None:
        """Close the file; every event is in it already."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def older(path: Path) -> Path:
    """Return where the events before those of `path` are kept."""
    return path.with_name(path.name + ".1")


def read_events(path: Path) -> Iterator[AnyEvent]:
    """Yield the events of a log, the oldest first, without lines that are damaged or of a newer version."""
    yield from read_file(older(path))
    yield from read_file(path)


def read_file(path: Path) -> Iterator[AnyEvent]:
    """Yield the events of one of the two files of a log; none where there is none."""
    with suppress(FileNotFoundError), path.open("rb") as lines:
        yield from _events(lines)


class Follower:
    """Reads a log while it grows, into its next file too. The first `read` returns its last events.

    Args:
        path: the log; it may not exist yet.
        tail: bytes at its end with which to begin.
    """

    def __init__(self, path: Path, *, tail: int = TAIL) -> None:
        self._path = path
        self._tail = tail
        self._file: BinaryIO | None = None

    def read(self) -> list[AnyEvent]:
        """Return the events that came since the last time, the oldest first."""
        found: list[AnyEvent] = []
        while True:
            if self._file is not None:
                found += _complete(self._file)
            if not self._open_next():
                return found

    def _open_next(self) -> bool:
        """Open the log if it is not the file that is being read; say whether there was another."""
        try:
            file = self._path.open("rb")
        except OSError:
            return False
        if self._file is not None:
            if os.path.sameopenfile(self._file.fileno(), file.fileno()):
                file.close()
                return False
            self._file.close()
        elif (size := os.fstat(file.fileno()).st_size) > self._tail:
            file.seek(size - self._tail)
            file.readline()  # the rest of a line whose beginning is not read
        self._file = file
        return True

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _complete(file: BinaryIO) -> Iterator[AnyEvent]:
    """Yield the events of the lines that are whole, and stand before the one that is not yet."""
    while True:
        start = file.tell()
        line = file.readline(MAX_LINE)
        if not line.endswith(b"\n") and len(line) < MAX_LINE:
            file.seek(start)
            return
        yield from _decoded(line)


def _events(file: BinaryIO) -> Iterator[AnyEvent]:
    while line := file.readline(MAX_LINE):
        yield from _decoded(line)


def _decoded(line: bytes) -> Iterator[AnyEvent]:
    """Yield the event of a line; nothing where it is damaged or of a newer version."""
    if line.endswith(b"\n"):
        with suppress(msgspec.MsgspecError, UnicodeDecodeError):
            yield _decoder.decode(line)


def _ends_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
