"""The daemon's local socket: `peer status`, `peer stop`, `peer pause` and others talk to it."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import trio

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

CONNECTIONS = 16
"""Callers served at once; the socket is ours alone, so this guards only against mistakes."""

IDLE = 60.0
"""Seconds that a caller may stay silent, or leave our answers unread."""

READ_SIZE = 4096


@dataclass(frozen=True, slots=True)
class Commands:
    """What callers may ask for."""

    status: Callable[[], Status]
    detail: Callable[[], Detail]
    stop: Callable[[], None]
    finish: Callable[[], None]
    pause: Callable[[str], None]
    """Takes the reason."""
    resume: Callable[[], None]


class ControlServer:
    """Answers local callers."""

    def __init__(self, path: Path, commands: Commands) -> None:
        self._path = path
        self._commands = commands
        self._limit = trio.CapacityLimiter(CONNECTIONS)
        self.serving = trio.Event()
        """Set once callers are heard."""

    async def run(self) -> None:
        """Serve until cancelled. The folder around the socket keeps other users out."""
        listening = trio.socket.socket(trio.socket.AF_UNIX, trio.socket.SOCK_STREAM)
        with listening:
            self._path.unlink(missing_ok=True)
            await listening.bind(str(self._path))
            listening.listen(CONNECTIONS)
            self.serving.set()
            await trio.serve_listeners(self._serve, [trio.SocketListener(listening)])

    async def _serve(self, stream: trio.SocketStream) -> None:
        async with self._limit, stream:
            try:
                await self._answer_all(stream)
            except (trio.BrokenResourceError, ProtocolError):
                return

    async def _answer_all(self, stream: trio.SocketStream) -> None:
        decoder = FrameDecoder(MAX_CONTROL)
        while True:
            with trio.move_on_after(IDLE) as silence:
                data = await stream.receive_some(READ_SIZE)
                for body in decoder.feed(data):
                    call: ControlCall = decode(body, ControlCall, MAX_CONTROL)  # type: ignore[arg-type]
                    await stream.send_all(frame(encode(self._answer(call)), MAX_CONTROL))
                    if isinstance(call, AskStop | AskFinish):
                        # The caller waits for the end of our process, when the kernel closes this copy.
                        os.dup(stream.socket.fileno())
            if silence.cancelled_caught or not data:
                return

    def _answer(self, call: ControlCall) -> ControlAnswer:
        commands = self._commands
        match call:
            case AskDetail():
                return commands.detail()
            case AskStop():
                commands.stop()
                return Stopping(pid=commands.status().pid)
            case AskFinish():
                commands.finish()
                return Stopping(pid=commands.status().pid)
            case AskPause():
                commands.pause(call.reason)
            case AskResume():
                commands.resume()
            case AskStatus():
                pass
        return commands.status()
