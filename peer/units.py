"""Numbers as people write them: 160M parameters, 100ms, 500GB, 20Mbit a second."""

import re

from peer.errors import UsageError
from peer.swarm.rate import LEAST

_NUMBER = r"(\d{1,9}(?:\.\d{1,9})?)"
_THOUSANDS = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "B": 1e9, "T": 1e12, "P": 1e15}
_SECONDS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0}
_BYTES = {"bit": 1 / 8, "B": 1.0}


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
    """Return the seconds that are written like 100ms, 0.1s, 5min or 2h.

    Raises:
        UsageError: it is no such duration.
    """
    match = re.fullmatch(rf"{_NUMBER} ?(ms|s|min|h)", text)
    if match is None:
        raise UsageError(f"{text!r} is no duration", "Write it like 100ms, 0.1s, 5min or 2h")
    return float(match[1]) * _SECONDS[match[2]]


def rate(text: str) -> float:
    """Return the bytes a second that are written like 20Mbit or 2.5MB/s.

    Raises:
        UsageError: it is no rate, or too low to take part.
    """
    match = re.fullmatch(rf"{_NUMBER} ?([kMG])(bit|B)(?:/s)?", text)
    if match is None:
        raise UsageError(
            f"{text!r} is no rate", "Write it like 20Mbit (bits) or 2.5MB (bytes), each a second"
        )
    found = float(match[1]) * _THOUSANDS[match[2]] * _BYTES[match[3]]
    if found < LEAST:
        raise UsageError(
            f"A limit of {text} is too low to exchange anything in time",
            f"Give at least {LEAST * 8 // 1000}kbit, or leave it away",
        )
    return found
