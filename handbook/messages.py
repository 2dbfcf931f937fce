"""The reference of what crosses a wire: events, calls and answers, field by field."""

import importlib
from types import ModuleType
from typing import get_args

import msgspec

from handbook.fields import code, doc, fields_of, table
from peer.telemetry.event import Event
from peer.telemetry.events import AnyEvent


def events() -> str:
    """Return a section for each event that the log may hold."""
    common = fields_of(Event)
    parts = [f"Every event has:\n\n{table(common)}"]
    parts += [_struct(kind) for kind in get_args(AnyEvent)]
    return "\n\n".join(parts)


def swarm() -> str:
    """Return the messages between peers."""
    names = ("messages", "bulk_calls", "group_calls", "ledger_calls", "measure_calls", "reach_calls")
    return "\n\n".join(_module(f"protocol.{name}") for name in (*names, "records", "state_index", "pages"))


def local() -> str:
    """Return the messages inside one machine."""
    return "\n\n".join(_module(f"protocol.{name}") for name in ("control", "describe", "trainer", "fetching"))


def _module(name: str) -> str:
    module = importlib.import_module(name)
    structs = [each for each in vars(module).values() if _is_of(each, module)]
    return "\n\n".join([f"## {name}", doc(module), *(_struct(each) for each in structs)])


def _is_of(thing: object, module: ModuleType) -> bool:
    return (
        isinstance(thing, type) and issubclass(thing, msgspec.Struct) and thing.__module__ == module.__name__
    )


def _struct(kind: type[msgspec.Struct]) -> str:
    tag = kind.__struct_config__.tag
    title = f"### {kind.__name__}" + (
        f" {{ #{tag} }}" if isinstance(tag, str) and kind.__module__.startswith("peer") else ""
    )
    where = "In the log" if issubclass(kind, Event) else "On the wire"
    named = f"{where}: {code(str(tag))}." if tag else ""
    return "\n\n".join(part for part in (title, doc(kind), named, table(fields_of(kind))) if part)
