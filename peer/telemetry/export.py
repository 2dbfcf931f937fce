"""The event log for other programs: JSON lines, or Parquet with a column for each field of any kind."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from peer.errors import ExtraMissingError, HomeError
from peer.telemetry.event import Event
from peer.telemetry.event_file import to_json
from peer.telemetry.events import AnyEvent

ROWS = 10_000
"""Events written together: what is in memory stays small, however long the log is."""

_NAMES = {str: "string", float: "float64", int: "int64", bool: "bool_"}


def columns() -> dict[str, str]:
    """Return the columns of the table and their types, in the words of pyarrow: those of every kind together.

    `event` names the kind, and `words` says what happened as a person reads it. Where an event has no such
    field, the table has a null. A field that is of another type in another kind has a column for each.
    """
    found = {"time": "timestamp", "event": "string", "words": "string"}
    for kind in get_args(AnyEvent):
        found |= {column: type_ for column, type_ in _fields(kind).values() if column not in found}
    return found


@cache
def _fields(kind: type[Event]) -> dict[str, tuple[str, str]]:
    """Return the column of each field of a kind, and its type."""
    first = _first_types()
    types = {name: _type_of(hint) for name, hint in get_type_hints(kind).items() if name in first}
    return {
        name: (name if first[name] == type_ else f"{name}_{type_}", type_) for name, type_ in types.items()
    }


@cache
def _first_types() -> dict[str, str]:
    """Return the type that each field has in the first kind that has it."""
    found: dict[str, str] = {}
    for kind in get_args(AnyEvent):
        for name, hint in get_type_hints(kind).items():
            if name in kind.__struct_fields__ and name != "time":
                found.setdefault(name, _type_of(hint))
    return found


def _type_of(hint: Any) -> str:  # noqa: ANN401 - an annotation
    if get_origin(hint) in (tuple, Literal):
        return "list" if get_origin(hint) is tuple else "string"
    kinds = [kind for kind in (get_args(hint) or (hint,)) if kind is not type(None)]
    return _NAMES[kinds[0]]


def write_json_lines(events: Iterable[Event], path: Path) -> int:
    """Write each event as one line; return how many.

    Raises:
        HomeError: the file cannot be written.
    """
    count = 0
    with _in_place_of(path) as part, part.open("w", encoding="ascii") as file:
        for event in events:
            file.write(to_json(event) + "\n")
            count += 1
    return count


def write_parquet(events: Iterable[Event], path: Path) -> int:
    """Write the events as one table; return how many.

    Raises:
        ExtraMissingError: pyarrow is not installed.
        HomeError: the file cannot be written.
    """
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise ExtraMissingError("Writing Parquet", "parquet") from error
    types = {"timestamp": pa.timestamp("us", "UTC"), "list": pa.list_(pa.string())}
    schema = pa.schema(
        [(name, types[kind] if kind in types else getattr(pa, kind)()) for name, kind in columns().items()]
    )
    count = 0
    with _in_place_of(path) as part, parquet.ParquetWriter(part, schema, compression="zstd") as writer:
        rows = (_row(event) for event in events)
        while batch := list(islice(rows, ROWS)):
            writer.write_batch(pa.RecordBatch.from_pylist(batch, schema=schema))
            count += len(batch)
    return count


def _row(event: Event) -> dict[str, Any]:
    told = msgspec.to_builtins(event)
    row = {column: told[name] for name, (column, _) in _fields(type(event)).items()}
    moment = round(event.time * 1_000_000)
    return {**row, "time": moment, "event": told["event"], "words": event.describe()}


@contextmanager
def _in_place_of(path: Path) -> Iterator[Path]:
    """Let a file be written beside `path`, and put it there only once it is whole."""
    part = path.with_name(f".{path.name}.part")
    try:
        try:
            yield part
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise HomeError(
            f"Cannot write {path}: {error.strerror or error}", "Name a file in a folder that you may write"
        ) from error
