"""What a home remembers of its device: how many examples fitted into one pass."""

import os
from pathlib import Path

import msgspec

FILE = "micro-batch.json"

MOST = 16
"""Notes that are kept: one for each device, model and batch that was used lately."""


class Key(msgspec.Struct, frozen=True):
    """What a note holds for.

    Attributes:
        device: its name, and those of the others where several work together.
        memory: of one, in bytes; None where nobody says.
        run: the run id, in hex, which stands for model, context and precision.
        batch: examples of one inner step on this host.
        cap: the most in one pass that its owner allows; None for any number.
        allowed: of the memory, as its owner's limits say; None for all.
        ranks: that work together; several on one CPU share its memory.
    """

    device: str
    memory: int | None
    run: str
    batch: int
    cap: int | None = None
    allowed: float | dict[int, float] | None = None
    ranks: int = 1


class Note(msgspec.Struct, frozen=True):
    """So many examples fit, or are being tried."""

    key: Key
    most: int
    trying: bool = False


class _File(msgspec.Struct, frozen=True):
    notes: tuple[Note, ...] = ()


class Notes:
    """The note of one key in a home. A disk that refuses costs a probe at the next start, and no more."""

    def __init__(self, home: Path, key: Key) -> None:
        self._path = home / FILE
        self._key = key

    def read(self) -> int | None:
        """Return how many fitted; None where nobody knows."""
        note = self._newest()
        return None if note is None or note.trying else note.most

    def tried(self) -> int | None:
        """Return how many passed or were to pass last; None where nobody has tried."""
        note = self._newest()
        return None if note is None else note.most

    def _newest(self) -> Note | None:
        note = next((note for note in self._all() if note.key == self._key), None)
        return note if note is not None and 1 <= note.most <= self._key.batch else None

    def write(self, most: int, *, trying: bool = False) -> None:
        """Remember it."""
        others = tuple(note for note in self._all() if note.key != self._key)
        kept = (Note(self._key, most, trying), *others)[:MOST]
        fresh = self._path.with_name(f".{FILE}-{os.getpid()}")
        try:
            fresh.write_bytes(msgspec.json.format(msgspec.json.encode(_File(kept))) + b"\n")
            fresh.replace(self._path)
        except OSError:
            fresh.unlink(missing_ok=True)

    def _all(self) -> tuple[Note, ...]:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=_File).notes
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return ()
