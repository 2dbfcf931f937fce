"""Mistakes in what a run file says of its training text."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

import msgspec

from peer.config.check import Mistake, Values, never_read
from peer.config.describe import describe, shown
from peer.config.schema import KEYS, STREAM_KEYS
from protocol.manifest import TextSource, Weight
from protocol.rules import STREAMED

MIXTURE = ("data", "mixture")
FILES = ("text", "tokens")

KINDS: dict[str, object] = {
    "source": TextSource,
    "weight": Weight,
    **{name: KEYS["data", name].kind for name in ("path", *STREAM_KEYS)},
}
"""What the keys of one part of a mixture may hold."""


def check_sources(values: Values) -> Iterator[Mistake]:
    """Yield what a source asks for, what nothing would read beside it, and what is wrong in a mixture."""
    if MIXTURE in values:
        yield from _check_mixture(values)
    elif values.get(("data", "source")) == "mixture":
        yield Mistake(MIXTURE, f'data.source = "mixture" needs data.mixture: {describe(KEYS[MIXTURE].kind)}')
    else:
        given = {path[1]: value for path, value in values.items() if path[0] == "data"}
        for name, message in _check(given, "data"):
            yield Mistake(("data", name), message)


def _check_mixture(values: Values) -> Iterator[Mistake]:
    for name in ("source", "path", *STREAM_KEYS):
        path = ("data", name)
        if path in values and values[path] not in ("mixture", KEYS[path].default):
            yield never_read(path, values[path], "data.mixture is given")
    parts: Any = values[MIXTURE]
    for index, entry in enumerate(parts):
        where = f"data.mixture[{index}]"
        wrong = list(_check_keys(entry, where)) or [message for _, message in _check(entry, where)]
        yield from (Mistake(MIXTURE, message) for message in wrong)


def _check_keys(entry: Mapping[str, object], where: str) -> Iterator[str]:
    for name, value in entry.items():
        if name not in KINDS:
            close = get_close_matches(name, KINDS, n=1)
            hint = f"did you mean {close[0]}? " if close else ""
            yield f"{where}.{name} is not a key; {hint}allowed: {', '.join(KINDS)}"
            continue
        try:
            msgspec.convert(value, KINDS[name])
        except msgspec.ValidationError:
            yield f"{where}.{name} = {shown(value)} must be {describe(KINDS[name])}"


def _check(entry: Mapping[str, object], where: str) -> Iterator[tuple[str, str]]:
    """Yield the key at which one source is wrong, and how."""
    kind = entry.get("source", KEYS["data", "source"].default)
    why = f"{where}.source = {shown(kind)}"
    if kind in FILES and "path" not in entry:
        yield "path", f"{why} needs {where}.path: a file, relative to this one's folder"
    if kind == STREAMED and "dataset" not in entry:
        yield "dataset", f"{why} needs {where}.dataset: a folder, a file, or a name on the Hugging Face Hub"
    unread = (*(() if kind in FILES else ("path",)), *(() if kind == STREAMED else STREAM_KEYS))
    for name in unread:
        if name in entry and entry[name] != KEYS["data", name].default:
            yield name, never_read((where, name), entry[name], why).message
