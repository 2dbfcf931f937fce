"""TensorBoard's event files, written with its own writer, which needs no torch."""

from collections.abc import Mapping
from pathlib import Path

FLUSH = 5
"""Seconds after which what was written is in the file."""


class TensorBoard:
    """Appends scalars to an event file of its own in `folder`.

    Raises:
        OSError: the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self._event, self._summary = Event, Summary
        folder.mkdir(parents=True, exist_ok=True)
        self._writer = EventFileWriter(str(folder), flush_secs=FLUSH)

    def write(self, moment: float, step: int, values: Mapping[str, float]) -> None:
        """See `Sink`."""
        scalars = [self._summary.Value(tag=name, simple_value=value) for name, value in values.items()]
        summary = self._summary(value=scalars)
        self._writer.add_event(self._event(wall_time=moment, step=step, summary=summary))

    def close(self) -> None:
        """See `Sink`."""
        self._writer.close()
