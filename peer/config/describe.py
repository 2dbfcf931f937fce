"""Types and values as a person reads them: what a key may hold, and what it does hold."""

import json
import re
from datetime import date, time

from msgspec import inspect

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_PATTERN = re.compile(r"\^(?:\[([^]]+)])?\[([^]]+)](?:[+*]|\{0,(\d+)})(?:\$|\\Z)")
"""Those of the manifest: characters that a text may begin with, those that it may hold, how many of these."""

_WORD = 2**31 - 1
_SHOWN = 60
"""Characters of a value that a message repeats."""


def describe(kind: object) -> str:
    """Say what a field of type `kind` may hold, such as "a whole number from 1 to 256"."""
    match inspect.type_info(kind):
        case inspect.Metadata(extra_json_schema={"description": str(words)}):
            return words
        case told:
            return _describe(told)


def _describe(kind: inspect.Type) -> str:
    match kind:
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType():
            return f"a whole number{_range(kind)}"
        case inspect.FloatType():
            return f"a number{_range(kind)}"
        case inspect.LiteralType(values=values):
            return "one of " + ", ".join(json.dumps(value) for value in values)
        case inspect.VarTupleType(item_type=item, min_length=low, max_length=high):
            return f"a list of {low or 0} to {high}, each {_describe(item)}"
        case inspect.StructType(fields=fields):
            return "a table of " + ", ".join(f"{each.name} ({_describe(each.type)})" for each in fields)
        case inspect.StrType():
            return f"text{_length(kind)}"
        case inspect.DictType(value_type=value, max_length=most):
            return f"a table of at most {most} names, each with {_describe(value)}"
        case inspect.UnionType(types=kinds):
            return ", or ".join(_describe(each) for each in kinds)
    raise TypeError(f"no words for {kind!r}")


def _range(kind: inspect.IntType | inspect.FloatType) -> str:
    low = "" if kind.ge is None or kind.ge <= -_WORD else f" from {_number(kind.ge)}"
    if kind.gt is not None:
        low = f" above {_number(kind.gt)}"
    if kind.le is not None:
        # Large bounds are there to fit a machine word; their last digits matter to nobody's settings.
        if abs(kind.le) >= _WORD:
            return low
        return f"{low} {'to' if kind.gt is None else 'and at most'} {_number(kind.le)}"
    return f"{low} and below {_number(kind.lt)}" if kind.lt is not None else low


def _number(bound: float) -> str:
    return f"{bound:.12g}"


def _length(kind: inspect.StrType) -> str:
    low = f"{kind.min_length} to" if kind.min_length else "at most"
    size = f" of {low} {kind.max_length} characters" if kind.max_length else ""
    if not kind.pattern:
        return size
    match = _PATTERN.fullmatch(kind.pattern)
    if match is None:
        return f"{size} that matches {kind.pattern}"
    first, rest, more = match.groups()
    size = size or (f" of at most {int(more) + 1} characters" if more else "")
    return f"{size}: {_characters(rest)}" + (f"; the first: {_characters(first)}" if first else "")


def _characters(allowed: str) -> str:
    known = {"A-Za-z": "letters", "0-9": "digits", " ": "spaces"}
    named = [name for span, name in known.items() if span in allowed]
    for span in known:
        allowed = allowed.replace(span, "")
    return ", ".join(named) + (f" and {' '.join(allowed)}" if allowed else "")


def toml(value: object) -> str:
    """Write a value as TOML does."""
    if isinstance(value, list | tuple):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(name)} = {toml(item)}" for name, item in value.items()) + "}"
    if isinstance(value, date | time):
        return value.isoformat()
    return json.dumps(value, ensure_ascii=False)


def _key(name: object) -> str:
    text = str(name)
    return text if _BARE.fullmatch(text) else json.dumps(text, ensure_ascii=False)


def shown(value: object) -> str:
    """Write a value as TOML does, cut to a length that fits a message."""
    text = toml(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."
