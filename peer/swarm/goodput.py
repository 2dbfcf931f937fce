"""What the links have carried lately, partner by partner: bytes a second of whole transfers."""

from collections import OrderedDict

NEWEST = 0.5
"""What the newest transfer counts for in the estimate: a link changes within an hour, not within a second."""

SMALLEST = 4096
"""Bytes below which a transfer tells of the round trip only."""

MOST_PARTNERS = 1024


class Goodput:
    """Estimates from past transfers; what went out tells more of a link's way out than what came in."""

    def __init__(self) -> None:
        self._sent: OrderedDict[str, float] = OrderedDict()
        self._received: OrderedDict[str, float] = OrderedDict()
        self._overall: float | None = None

    def sent(self, partner: str, size: int, seconds: float) -> None:
        """Note that a partner took so many seconds to pull so many bytes."""
        self._note(self._sent, partner, size, seconds)

    def received(self, partner: str, size: int, seconds: float) -> None:
        """Note that we took so many seconds to pull so many bytes from a partner."""
        self._note(self._received, partner, size, seconds)

    def to(self, partner: str) -> float | None:
        """Return the bytes a second to expect on the way to a partner, or None where nothing is known."""
        return self._sent.get(partner) or self._received.get(partner) or self._overall

    def of(self, partner: str) -> tuple[float | None, float | None]:
        """Return the bytes a second of a partner's last transfers, in and out; None where there were none."""
        return self._received.get(partner), self._sent.get(partner)

    def _note(self, rates: OrderedDict[str, float], partner: str, size: int, seconds: float) -> None:
        if size < SMALLEST or seconds <= 0.0:
            return
        rate = size / seconds
        rates[partner] = _smoothed(rates.pop(partner, None), rate)
        while len(rates) > MOST_PARTNERS:
            rates.popitem(last=False)
        self._overall = _smoothed(self._overall, rate)


def _smoothed(known: float | None, rate: float) -> float:
    return rate if known is None else known + NEWEST * (rate - known)
