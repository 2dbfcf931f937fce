"""Numbers as people write them: 160M parameters, 100ms, 500GB."""

import re

from peer.errors import UsageError

_NUMBER = r"(\d{1,9}(?:\.\d{1,9})?)"
_THOUSANDS = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "B": 1e9, "T": 1e12, "P": 1e15}


def count(text: str) -> float:
    """Return the number that is written like 160M, 1.3B or 82T.

    Raises:
        UsageError: it is no such number, or not above 0.
    """
    match = re.fullmatch(rf"{_NUMBER} ?([kKMGBTP]?)", text.replace(",", ""))
    if match is None or not float(match[1]):
        raise UsageError(f"{text!r} is no number", "Write it like 160M, 1.3B or 82T")
    return float(match[1]) * _THOUSANDS[match[2]]


def size(text: str) -> float:
    """Return the bytes that are written like 500GB.

    Raises:
        UsageError: it is no such size.
    """
    match = re.fullmatch(rf"{_NUMBER} ?([kMGT])B", text)
    if match is None or not float(match[1]):
        raise UsageError(f"{text!r} is no size", "Write it like 500GB or 1.5TB")
    return float(match[1]) * _THOUSANDS[match[2]]


def duration(text: str) -> float:
    """Return the seconds that are written like 100ms or 0.1s.

    Raises:
        UsageError: it is no such duration.
    """
    match = re.fullmatch(rf"{_NUMBER} ?(ms|s)", text)
    if match is None:
        raise UsageError(f"{text!r} is no duration", "Write it like 100ms or 0.1s")
    return float(match[1]) / (1000 if match[2] == "ms" else 1)
