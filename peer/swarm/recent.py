"""Whom a peer has mixed with lately."""

from collections import deque

MOST = 8


class Recent:
    """The partners of the last mixes, the newest last."""

    def __init__(self) -> None:
        self._partners: deque[str] = deque(maxlen=MOST)

    def met(self, partner: str) -> None:
        """Note a mix."""
        if partner in self._partners:
            self._partners.remove(partner)
        self._partners.append(partner)

    def of(self, live: int) -> set[str]:
        """Return those to leave to others while `live` peers are in view: the last ones, half at the most."""
        return set(list(self._partners)[-(live // 2) :]) if live > 1 else set()
