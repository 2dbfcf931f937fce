"""What this process fetches from the Hub is counted, and keeps to the limit on the download rate.

All of it passes the one HTTP client of `huggingface_hub`: rows of data sets, models, and what the Hub says of
them. Xet, its other way to fetch large files, goes past that client in a library of its own: it is not used.
"""

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx2

TOLD_EVERY = 0.5
"""Seconds between two words on what has come, while more comes."""

Tell = Callable[[int], None]
"""Told of bytes that have come since the last time."""


class Intake:
    """Counts bytes that come, and holds up whoever reads them so that no more come in a second than may.

    Any thread may use it.

    Args:
        tell: hears how much has come.
        rate: bytes a second that may come.
        over: set once nobody waits for what comes.
        clock: seconds of a clock that never goes back.
    """

    def __init__(
        self,
        tell: Tell,
        rate: float = math.inf,
        over: threading.Event | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tell = tell
        self._rate = rate
        self._clock = clock
        self._lock = threading.Lock()
        self._over = over or threading.Event()
        self._free = -math.inf
        self._untold = 0
        self._told_at = -math.inf

    def change(self, rate: float) -> None:
        """Let so many bytes come in a second from now on."""
        self._rate = rate

    def end(self) -> None:
        """Hold nobody up any more: whoever reads is not waited for."""
        self._over.set()

    def came(self, size: int) -> None:
        """Count so many bytes, and wait until the next may come.

        Raises:
            OSError: `end` was called meanwhile.
        """
        with self._lock:
            now = self._clock()
            self._free = max(self._free, now) + size / self._rate
            self._untold += size
            untold = self._take() if now - self._told_at >= TOLD_EVERY else 0
            if untold:
                self._told_at = now
        self._say(untold)
        if self._free > now and self._over.wait(self._free - now):
            raise OSError("nobody waits for it any more")

    def flush(self) -> None:
        """Tell what is not told yet."""
        with self._lock:
            untold = self._take()
        self._say(untold)

    def _take(self) -> int:
        untold, self._untold = self._untold, 0
        return untold

    def _say(self, size: int) -> None:
        if size:
            self._tell(size)


@contextmanager
def metered(intake: Intake) -> Iterator[None]:
    """Have all that comes from the Hub pass `intake`."""
    # Who lacks the packages is told of it where they are needed.
    with suppress(ImportError):
        _meter(intake)
    try:
        yield
    finally:
        intake.end()


def _meter(intake: Intake) -> None:
    import httpx2
    import huggingface_hub
    from huggingface_hub import constants
    from huggingface_hub.utils import _http

    class Counted(httpx2.SyncByteStream):
        """The body of an answer, as it comes over the line."""

        def __init__(self, body: httpx2.SyncByteStream) -> None:
            self._body = body

        def __iter__(self) -> Iterator[bytes]:
            try:
                for piece in self._body:
                    intake.came(len(piece))
                    yield piece
            finally:
                intake.flush()

        def close(self) -> None:
            self._body.close()

    def count(answer: "httpx2.Response") -> None:
        if isinstance(answer.stream, httpx2.SyncByteStream):
            answer.stream = Counted(answer.stream)

    def client() -> "httpx2.Client":
        made: httpx2.Client = _http.default_client_factory()
        made.event_hooks = {**made.event_hooks, "response": [count]}
        return made

    constants.HF_HUB_DISABLE_XET = True
    huggingface_hub.set_client_factory(client)
