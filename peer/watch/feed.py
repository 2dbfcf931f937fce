"""Looks at a daemon again and again: over its control socket, and into its event log."""

import time
from collections import deque
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from peer.daemon.client import ControlClient
from peer.daemon.home import Home
from peer.daemon.runtime import control_socket
from peer.errors import NotRunningError
from peer.telemetry.event_file import Follower
from peer.telemetry.events import AnyEvent, Stopped
from peer.watch.seen import Seen
from protocol.control import Detail

KEPT = 200
"""Events kept: more than a terminal has lines."""

PATIENCE = 2.0
"""Seconds for an answer, after which the screen says that none came."""


class EndedError(Exception):
    """The daemon has ended; the message says how, as far as its log tells."""


class Feed:
    """Looks at the daemon of a home. Enter it before the first look.

    Raises:
        NotRunningError: on entering, no daemon runs in the home.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        self._log = Follower(Home(home).events)
        self._events: deque[AnyEvent] = deque(maxlen=KEPT)
        self._connection = ExitStack()
        self._client: ControlClient | None = None
        self._detail: Detail
        self._answered = 0.0

    def __enter__(self) -> Self:
        self._ask()
        self._events.extend(self._log.read())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hang_up()
        self._log.close()

    def look(self) -> Seen:
        """Return what there is to see; where the daemon is silent, what it said last.

        Raises:
            EndedError: the daemon is gone.
        """
        try:
            self._ask()
        except NotRunningError as error:
            if not isinstance(error.__cause__, TimeoutError):
                raise EndedError(self._last_words()) from error
        fresh = self._log.read()
        self._events.extend(fresh)
        silent = time.monotonic() - self._answered
        return Seen(self._detail, tuple(self._events), tuple(fresh), silent)

    def _ask(self) -> None:
        """Ask over the connection that there is, or a new one where it broke: we may have slept for long."""
        try:
            self._detail = (self._client or self._connect()).detail()
        except NotRunningError as error:
            known = self._client
            self._hang_up()
            if known is None or isinstance(error.__cause__, TimeoutError):
                raise
            self._detail = self._connect().detail()
        self._answered = time.monotonic()

    def _connect(self) -> ControlClient:
        client = ControlClient(control_socket(self._home), PATIENCE)
        self._client = self._connection.enter_context(client)
        return self._client

    def _hang_up(self) -> None:
        self._connection.close()
        self._client = None

    def _last_words(self) -> str:
        self._events.extend(self._log.read())
        last = self._events[-1] if self._events else None
        if isinstance(last, Stopped):
            return f"the daemon has ended: {last.describe()}"
        return "the daemon has ended without a goodbye; its log may say why"
