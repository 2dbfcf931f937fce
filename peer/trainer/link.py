"""The trainer's end of the socket pair: a thread reads frames, the training loop polls whole messages."""

import contextlib
import logging
import os
import queue
import socket
import threading
from collections.abc import Callable
from typing import cast

from protocol import codec
from protocol.errors import ProtocolError
from protocol.fetching import Download
from protocol.frames import PREFIX_BYTES, FrameDecoder, frame
from protocol.trainer import MAX_IPC, Begin, FromTrainer, ToTrainer

GRACE = 20.0
"""Seconds that the training loop has to notice that the daemon is gone."""

_READ = 64 * 1024

_log = logging.getLogger(__name__)


class Closed:
    """The daemon is gone: nothing more will come. Always the last that a link gives."""


def hear_first(sock: socket.socket) -> ToTrainer | Closed:
    """Return the first message, and take nothing of what comes behind it from the socket.

    Raises:
        ProtocolError: something else came.
    """
    frames = FrameDecoder(MAX_IPC)
    with contextlib.suppress(OSError):  # the daemon is gone
        prefix = sock.recv(PREFIX_BYTES, socket.MSG_WAITALL)
        frames.feed(prefix)
        for body in frames.feed(sock.recv(int.from_bytes(prefix, "big"), socket.MSG_WAITALL)):
            return _decode(body)
    return Closed()


def _decode(body: bytes) -> ToTrainer:
    return codec.decode(body, cast("type[ToTrainer]", ToTrainer), MAX_IPC)


class Link:
    """Messages to and from the daemon. Any thread may send; `poll` and `wait` are for the training loop."""

    def __init__(self, sock: socket.socket) -> None:
        self._on_rate: Callable[[float], None] = lambda _: None
        self._rate: float | None = None
        self._rating = threading.Lock()
        self._socket = sock
        self._inbox: queue.SimpleQueue[ToTrainer | Closed] = queue.SimpleQueue()
        self._noticed = threading.Event()
        self._sending = threading.Lock()
        threading.Thread(target=self._read, name="link", daemon=True).start()

    def send(self, message: FromTrainer) -> None:
        """Send a message. Where the daemon is gone it is lost; `Closed` then says so."""
        try:
            with self._sending:
                self._socket.sendall(frame(codec.encode(message), MAX_IPC))
        except OSError as error:
            _log.info("the daemon does not take messages any more: %s", error)

    def poll(self) -> ToTrainer | Closed | None:
        """Return the next message if one is there, without waiting."""
        try:
            return self._note(self._inbox.get_nowait())
        except queue.Empty:
            return None

    def wait(self) -> ToTrainer | Closed:
        """Return the next message, as soon as it comes."""
        return self._note(self._inbox.get())

    def wait_for(self, seconds: float) -> ToTrainer | Closed | None:
        """Return the next message if it comes within so many seconds."""
        try:
            return self._note(self._inbox.get(timeout=seconds))
        except queue.Empty:
            return None

    def hear_rate(self, on_rate: Callable[[float], None]) -> None:
        """Have `on_rate` told at once, in another thread, how many bytes a second may be fetched.

        What was said since the last `Begin`, which has a rate of its own, it is told now.
        """
        with self._rating:
            self._on_rate = on_rate
            if self._rate is not None:
                on_rate(self._rate)

    def close(self) -> None:
        """Close this end."""
        self._noticed.set()
        # Closing alone would leave the connection open for as long as the thread reads from it.
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _note(self, message: ToTrainer | Closed) -> ToTrainer | Closed:
        if isinstance(message, Closed):
            self._noticed.set()
        return message

    def _take_rate(self, rate: float) -> None:
        with self._rating:
            self._rate = rate
            self._on_rate(rate)

    def _read(self) -> None:
        frames = FrameDecoder(MAX_IPC)
        try:
            while data := self._socket.recv(_READ):
                for body in frames.feed(data):
                    message = _decode(body)
                    if isinstance(message, Download):
                        self._take_rate(message.rate)
                        continue
                    if isinstance(message, Begin):
                        self._rate = None
                    self._inbox.put(message)
        except (OSError, ProtocolError) as error:
            if not self._noticed.is_set():
                _log.warning("the link to the daemon broke: %s", error)
        self._inbox.put(Closed())
        # A trainer without a daemon must not keep the device, whatever the device hangs in.
        if not self._noticed.wait(GRACE):
            _log.error("the daemon is gone and training does not stop; leaving without a checkpoint")
            os._exit(1)
