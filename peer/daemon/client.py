"""The other end of the control socket, blocking: for commands that ask once and exit."""

import socket
from contextlib import suppress
from pathlib import Path
from typing import Self, TypeVar

from peer.errors import NotRunningError
from protocol.codec import decode, encode
from protocol.control import (
    MAX_CONTROL,
    AskDetail,
    AskFinish,
    AskPause,
    AskResume,
    AskStatus,
    AskStop,
    ControlAnswer,
    ControlCall,
    Detail,
    Status,
    Stopping,
)
from protocol.errors import ProtocolError
from protocol.frames import FrameDecoder, frame

A = TypeVar("A")

PATIENCE = 5.0
"""Seconds that a healthy daemon needs at the very most; it answers within milliseconds."""

FINISHING = 960.0
"""Seconds for the exchange under way, the last checkpoint and the goodbye: each has a limit of its own."""

LEAVING = 10.0
"""Seconds for goodbye and checkpoint: both have tighter deadlines of their own."""


class ControlClient:
    """One connection to a running daemon. `patience` bounds each answer, in seconds."""

    def __init__(self, path: Path, patience: float = PATIENCE) -> None:
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(patience)
        self._decoder = FrameDecoder(MAX_CONTROL)

    def __enter__(self) -> Self:
        try:
            self._socket.connect(str(self._path))
        except OSError as error:
            self._socket.close()
            raise NotRunningError(
                "No daemon answers for this home", "Start it again: `peer start` with the same --home"
            ) from error
        return self

    def __exit__(self, *details: object) -> None:
        self._socket.close()

    def status(self) -> Status:
        """Ask how the daemon is."""
        return self._ask(AskStatus(), Status)

    def detail(self) -> Detail:
        """Ask for all that a person may want to watch."""
        return self._ask(AskDetail(), Detail)

    def stop(self) -> int:
        """Ask it to leave; return its process id."""
        return self._ask(AskStop(), Stopping).pid

    def finish(self) -> int:
        """Ask it to end what is under way and leave; return its process id."""
        return self._ask(AskFinish(), Stopping).pid

    def pause(self, reason: str) -> Status:
        """Ask it to make no inner steps."""
        return self._ask(AskPause(reason=reason), Status)

    def resume(self) -> Status:
        """Take that back."""
        return self._ask(AskResume(), Status)

    def wait_until_gone(self, patience: float | None = None) -> None:
        """Wait until the daemon that was asked to leave hangs up, which is the end of its process.

        Args:
            patience: seconds; None for `LEAVING`, which is enough for `stop`.

        Raises:
            NotRunningError: it is still there after that.
        """
        patience = LEAVING if patience is None else patience
        self._socket.settimeout(patience)
        try:
            with suppress(ConnectionError):
                while self._socket.recv(1):
                    pass
        except TimeoutError as error:
            raise NotRunningError(
                f"The daemon has not ended after {patience:g} s", "Look at its log; end it by its pid"
            ) from error

    def _ask(self, call: ControlCall, kind: type[A]) -> A:
        try:
            self._socket.sendall(frame(encode(call), MAX_CONTROL))
            while not (bodies := self._decoder.feed(self._receive())):
                pass
            answer: object = decode(bodies[0], ControlAnswer, MAX_CONTROL)  # type: ignore[arg-type]
        except (OSError, ProtocolError) as error:
            raise NotRunningError(
                f"The daemon of this home does not answer ({error})", "Look at its log, or start it again"
            ) from error
        if not isinstance(answer, kind):
            raise NotRunningError("The daemon of this home answers something else", "Start it again")
        return answer

    def _receive(self) -> bytes:
        data = self._socket.recv(MAX_CONTROL)
        if not data:
            raise ConnectionResetError("it hung up")
        return data
