"""Hold the keys of a parsed `run.toml` to the schema, and say of each mistake what would be right."""

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches

import msgspec

from peer.config.describe import describe, shown
from peer.config.schema import COMPUTED, KEYS, SECTIONS, Path, names_in

BUILT_IN = ("layers", "width", "heads", "hidden", "rope_base", "path")
"""Keys of the built-in model."""

REPLACED = ("model", "tokenizer", "data")
"""Sections in whose place a task stands."""

KEPT = (("data", "shards"),)
"""Of these, what counts for a task as well."""

Values = dict[Path, object]
"""The keys that the file gives, each of its type."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """One line of the report: which key, and what is wrong with it."""

    path: Path
    message: str


def check_keys(table: dict[str, object]) -> tuple[Values, list[Mistake]]:
    """Return the values that are right, and the mistakes in the others, each key on its own."""
    values: Values = {}
    mistakes: list[Mistake] = []
    for path, raw in _leaves(table):
        if path not in KEYS:
            mistakes.append(Mistake(path, _unknown(path, raw)))
            continue
        kind = KEYS[path].kind
        try:
            values[path] = msgspec.convert(raw, kind)
        except msgspec.ValidationError:
            mistakes.append(must_be(path, raw, describe(kind)))
    return values, mistakes


def check_tokenizer(values: Values) -> Iterator[Mistake]:
    """Yield the keys that a tokenizer file asks for, and the path that nothing would read."""
    kind = _value(values, "tokenizer", "kind")
    why = f"tokenizer.kind = {shown(kind)}"
    path = ("tokenizer", "path")
    if kind == "file" and path not in values:
        yield Mistake(path, f"{why} needs tokenizer.path: a file, relative to this one's folder")
    elif kind != "file" and path in values:
        yield never_read(path, values[path], why)
    size = ("tokenizer", "vocabulary")
    if kind == "file" and size not in values:
        yield Mistake(size, f"{why} needs tokenizer.vocabulary: {describe(KEYS[size].kind)}")


def check_model(values: Values) -> Iterator[Mistake]:
    """Yield what a model of another kind asks for, and the keys that nothing would read beside it."""
    kind = _value(values, "model", "kind")
    why = f"model.kind = {shown(kind)}"
    source = ("model", "source")
    if kind == "hf" and source not in values:
        yield Mistake(source, f"{why} needs model.source: a folder, or a name on the Hugging Face Hub")
    unread = BUILT_IN if kind == "hf" else ("source", "revision", "lora")
    for name in unread:
        path = ("model", name)
        if path in values and values[path] != KEYS[path].default:
            yield never_read(path, values[path], why)


def check_task(values: Values) -> Iterator[Mistake]:
    """Yield what a task asks for, and the keys that nothing would read beside it."""
    name = ("task", "name")
    if name not in values:
        if (settings := ("task", "settings")) in values:
            yield Mistake(settings, f"task.settings needs task.name: {describe(KEYS[name].kind)}")
        return
    why = f"task.name = {shown(values[name])}"
    for path, value in values.items():
        unread = path[0] in REPLACED and path not in KEPT
        if unread and value != KEYS[path].default:
            yield never_read(path, value, why)


def must_be(path: Path, value: object, allowed: str) -> Mistake:
    """Name a key, the value that it has, and what it may have."""
    return Mistake(path, f"{'.'.join(path)} = {shown(value)} must be {allowed}")


def never_read(key: Path, value: object, why: str) -> Mistake:
    """Name a key and its value that are of no use, and why."""
    return Mistake(key, f"{'.'.join(key)} = {shown(value)} would never be read, as {why}: leave it out")


def _leaves(table: dict[str, object]) -> Iterator[tuple[Path, object]]:
    for name, value in table.items():
        if name in SECTIONS and isinstance(value, dict):
            yield from (((name, key), item) for key, item in value.items())
        elif name == "data" and isinstance(value, str | list):
            yield ("data", "source" if isinstance(value, str) else "mixture"), value
        else:
            yield (name,), value


def _unknown(path: Path, raw: object) -> str:
    name, section = ".".join(path), path[:-1]
    if path in COMPUTED:
        return f"{name} is not set by hand: {COMPUTED[path]}"
    if name in SECTIONS:
        return f"{name} = {shown(raw)} must be a section: write [{name}] and its keys below it"
    known = names_in(section)
    if section:
        what = f"{name} is not a key of [{section[0]}]"
    elif isinstance(raw, dict):
        what, known = f"[{name}] is not a section", list(SECTIONS)
    else:
        what, known = f"{name} is not a key", known + [f"[{each}]" for each in SECTIONS]
    close = get_close_matches(path[-1], known, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    return f"{what}; {hint}allowed: {', '.join(known)}"


def _value(values: Values, *path: str) -> object:
    return values.get(path, KEYS[path].default)
