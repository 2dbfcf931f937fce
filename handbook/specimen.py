"""A made-up value of any frozen dataclass, with every part there: what a scrape can show is then shown."""

from collections.abc import Mapping
from dataclasses import is_dataclass
from enum import Enum
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

_PLAIN = {bool: False, int: 0, float: 0.0, str: "x"}


def specimen(kind: Any) -> Any:
    """Return a value of a type.

    Raises:
        TypeError: nobody has said what a value of that type is.
    """
    if kind in _PLAIN:
        return _PLAIN[kind]
    if is_dataclass(kind) and isinstance(kind, type):
        return kind(**{name: specimen(inner) for name, inner in get_type_hints(kind).items()})
    if isinstance(kind, type) and issubclass(kind, Enum):
        return next(iter(kind))
    origin, inside = get_origin(kind), get_args(kind)
    if origin is Literal:
        return inside[0]
    if origin in (Union, UnionType):
        return specimen(next(each for each in inside if each is not type(None)))
    if origin is tuple:
        return (specimen(inside[0]),)
    if origin in (dict, Mapping):
        return {specimen(inside[0]): specimen(inside[1])}
    raise TypeError(f"no specimen of {kind!r}")
