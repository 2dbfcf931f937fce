"""A wait for a batch that a stream has not brought yet: the daemon hears of it if it is no short one."""

import time

from peer.trainer.link import Link
from protocol.trainer import Waiting

LOOK_AGAIN = 0.02
"""Seconds between two looks at whether the data have come."""

SHORT_WAIT = 2.0
"""Seconds of which nobody is told."""


class Starving:
    """One wait.

    Attributes:
        began: by the monotonic clock.
        told: the reason that the daemon knows; None where it knows of no wait.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        self.began = time.monotonic()
        self.told: str | None = None

    def is_news(self, reason: str) -> bool:
        """Whether the daemon should hear this reason."""
        return reason != self.told and time.monotonic() - self.began >= SHORT_WAIT

    def tell(self, reason: str, inner_step: int) -> None:
        """Say why no inner step is made."""
        self._link.send(Waiting(reason=reason, inner_step=inner_step))
        self.told = reason

    def end(self) -> bool:
        """Say that it is over; return whether anybody had been told of it."""
        if self.told is not None:
            self._link.send(Waiting(reason=None))
        return self.told is not None
