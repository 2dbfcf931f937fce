"""Tries again what failed for want of a network or a disk, as long as it takes, and says meanwhile why."""

import random
import threading
from collections.abc import Callable
from typing import TypeVar

from peer.errors import DataError

FIRST, LONGEST = 1.0, 60.0
"""Seconds before the first try again, and the most between two."""

LONGEST_REASON = 200
"""Characters of a reason."""

T = TypeVar("T")
Tell = Callable[[str | None], None]
"""Told why there is no data yet; None once there is."""


class UnreachableError(DataError):
    """Data that cannot be read now. Another try may succeed."""


class GivenUpError(Exception):
    """Nobody waits for the data any more."""


class Patience:
    """Waits longer after each failure, up to a minute; `end` wakes it.

    A failure that is an `OSError` may pass, and so may `UnreachableError`. Others are the caller's.
    """

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._end = threading.Event()

    def __call__(self, job: Callable[[], T]) -> T:
        """Return what `job` returns, once it does.

        Raises:
            GivenUpError: `end` was called before it did.
        """
        pause, tries = FIRST, 0
        while not self._end.is_set():
            try:
                done = job()
            except (OSError, UnreachableError) as error:
                tries += 1
                self._tell(f"{_reason(error)}; tried {tries} time{'s' * (tries > 1)}")
                # Peers of one run would else all come back at once.
                self._end.wait(pause * random.uniform(0.5, 1.0))
                pause = min(2 * pause, LONGEST)
            else:
                if tries:
                    self._tell(None)
                return done
        raise GivenUpError

    def end(self) -> None:
        """Try no more."""
        self._end.set()


def at_once(job: Callable[[], T]) -> T:
    """Return what `job` returns; who has nobody to tell why it waits does not wait.

    Raises:
        UnreachableError: it failed where another try may succeed.
    """
    try:
        return job()
    except OSError as error:
        raise UnreachableError(f"data cannot be read: {error}", "Check the network or the disk") from error


def _reason(error: Exception) -> str:
    text = error.message if isinstance(error, UnreachableError) else str(error)
    lines = text.strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:LONGEST_REASON]
