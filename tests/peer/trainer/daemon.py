"""The daemon's side of the socket pair, played by tests."""

import socket
from typing import TypeVar, cast

from protocol import codec
from protocol.frames import FrameDecoder, frame
from protocol.trainer import MAX_IPC, FromTrainer, ToTrainer

T = TypeVar("T")


class Daemon:
    """Sends to a trainer and keeps everything that it says."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._frames = FrameDecoder(MAX_IPC)
        self._unread: list[FromTrainer] = []
        self.heard: list[FromTrainer] = []

    def send(self, *messages: ToTrainer) -> None:
        """Send messages in one breath."""
        self._socket.sendall(b"".join(frame(codec.encode(message), MAX_IPC) for message in messages))

    def hear(self) -> FromTrainer | None:
        """The next message; None at the end."""
        while not self._unread:
            data = self._socket.recv(65536)
            if not data:
                return None
            kind = cast("type[FromTrainer]", FromTrainer)
            self._unread = [codec.decode(body, kind, MAX_IPC) for body in self._frames.feed(data)]
        self.heard.append(self._unread.pop(0))
        return self.heard[-1]

    def hear_a(self, kind: type[T]) -> T:
        """Read on until a message of `kind` comes."""
        while (message := self.hear()) is not None:
            if isinstance(message, kind):
                return message
        raise AssertionError(f"the trainer left without a {kind.__name__}: {self.heard}")

    def hear_out(self) -> list[FromTrainer]:
        """Read on to the end, and return everything that was ever said."""
        while self.hear() is not None:
            pass
        return self.heard

    def close(self) -> None:
        self._socket.close()
