"""Rates as people write them: 20Mbit, 2.5MB/s."""

import re

from peer.errors import UsageError
from peer.swarm.rate import LEAST

_FORM = re.compile(r"(\d{1,9}(?:\.\d{1,9})?) ?([kMG])(bit|B)(?:/s)?")
_THOUSANDS = {"k": 1e3, "M": 1e6, "G": 1e9}
_BYTES = {"bit": 1 / 8, "B": 1.0}


def rate(text: str) -> float:
    """Return the bytes a second that a rate stands for.

    Raises:
        UsageError: it is no rate, or too low to take part.
    """
    match = _FORM.fullmatch(text)
    if match is None:
        raise UsageError(
            f"{text!r} is no rate", "Write it like 20Mbit (bits) or 2.5MB (bytes), each a second"
        )
    number, thousands, unit = match.groups()
    found = float(number) * _THOUSANDS[thousands] * _BYTES[unit]
    if found < LEAST:
        raise UsageError(
            f"A limit of {text} is too low to exchange anything in time",
            f"Give at least {LEAST * 8 // 1000}kbit, or leave the option away",
        )
    return found
