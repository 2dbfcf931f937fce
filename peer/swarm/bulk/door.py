"""Callers that have not yet said which token they have, told apart by where they come from."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import trio

from peer.swarm.transport import TransportError

MOST = 64


class Door:
    """Bounds how many wait.

    Who has a token names it with its first packet, so silence is cheap to end: where there are too many, the
    origin that has most loses the one that has been silent for longest, and whoever comes is heard.
    """

    def __init__(self) -> None:
        self._silent: dict[trio.CancelScope, str] = {}
        """Their origins, those who came first first."""

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._silent)

    @contextmanager
    def one(self, origin: str) -> Iterator[None]:
        """Count a caller while it is silent.

        Raises:
            TransportError: it had to go for others.
        """
        if len(self._silent) >= MOST:
            self._make_room()
        with trio.CancelScope() as scope:
            self._silent[scope] = origin
            try:
                yield
            finally:
                self._silent.pop(scope, None)
        if scope.cancelled_caught:
            raise TransportError("a caller was silent while others came")

    def _make_room(self) -> None:
        [(crowd, _)] = Counter(self._silent.values()).most_common(1)
        oldest = next(scope for scope, origin in self._silent.items() if origin == crowd)
        del self._silent[oldest]
        oldest.cancel()
