"""The reference of the command line, from typer's own tree of commands."""

from collections.abc import Callable, Iterator
from enum import Enum
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import typer

from handbook.fields import code
from peer.cli.main import app


def commands() -> str:
    """Return a section for each command: what it does, its example, its arguments and options."""
    return "\n\n".join(
        _section(name, command) for name, command in _walk("peer", typer.main.get_command(app))
    )


def _walk(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    inside = getattr(command, "commands", None)
    if inside is None:
        yield name, command
        return
    for part, each in inside.items():
        yield from _walk(f"{name} {part}", each)


def _section(name: str, command: Any) -> str:
    about, _, example = (command.help or "").partition("Example: ")
    rows = [_row(parameter, _type(command.callback, parameter.name)) for parameter in command.params]
    parts = [f"## {name}", about.strip()]
    if example:
        parts.append(f"    {example.strip()}")
    shown = [row for row in rows if row]
    if shown:
        parts.append("\n".join(["| option | value | default | |", "|---|---|---|---|", *shown]))
    return "\n\n".join(parts)


def _row(parameter: Any, kind: object) -> str:
    if getattr(parameter, "hidden", False) or parameter.name == "help":
        return ""
    names = " / ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))
    flag = bool(parameter.secondary_opts) or getattr(parameter, "is_flag", False)
    value = "" if flag else _value(parameter, kind)
    return f"| {names} | {value} | {_default(parameter.default, flag=flag)} | {_cell(parameter.help or '')} |"


def _value(parameter: Any, kind: object) -> str:
    if isinstance(kind, type) and issubclass(kind, Enum):
        return ", ".join(f"`{each.value}`" for each in kind)
    return code(parameter.metavar or str(getattr(kind, "__name__", "text")))


def _default(default: object, *, flag: bool) -> str:
    if default is None or callable(default) or (flag and default is False):
        return ""
    return code(str(default.value if isinstance(default, Enum) else default))


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _type(callback: Callable[..., object], name: str) -> object:
    """Return the type that the function behind a command gives a parameter, without None and list."""
    kind: object = get_type_hints(getattr(callback, "__wrapped__", callback)).get(name, str)
    while get_origin(kind) in (Union, UnionType, list):
        kind = next(each for each in get_args(kind) if each is not type(None))
    return kind
