"""Packages that only some uses need: loaded when they are used, with a line on how to get them."""

import importlib
from types import ModuleType

from peer.errors import ExtraMissingError


def load(module: str, extra: str, what: str) -> ModuleType:
    """Return the module of an optional package.

    Args:
        module: its name.
        extra: the extra of this distribution that brings it.
        what: that needs it, as the beginning of a sentence.

    Raises:
        ExtraMissingError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ExtraMissingError(what, extra) from error
