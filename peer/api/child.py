"""The daemon's process, as the program that started it sees it: alive, ended, or failed with a reason."""

import os
import time
import weakref
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from subprocess import TimeoutExpired

import msgspec

from peer.daemon.client import ControlClient
from peer.daemon.last_status import read_last_status
from peer.daemon.runtime import control_socket
from peer.errors import NotRunningError, PeerError, of_another_process
from peer.local.processes import LocalPeer, end, launch
from protocol.control import Status
from protocol.trainer import Failed

COMMAND = "peer.cli.embedded"

LOOK = 0.2
"""Seconds between two looks at a daemon of which something is awaited."""


class Child:
    """One life of a daemon. It ends when this object goes, or the program does.

    Attributes:
        home: its folder.
        began: seconds since 1970.
    """

    def __init__(self, home: Path, arguments: Sequence[str], threads: int | None) -> None:
        self.home = home
        self.began = time.time()
        self._process = launch(COMMAND, home, [*arguments, "--stop-on-eof"], threads=threads, piped=True)
        self._end = weakref.finalize(self, _end, self._process, os.getpid())
        self._failure: PeerError | None = None

    @property
    def running(self) -> bool:
        """Whether it lives."""
        return self._process.running

    def rest(self, seconds: float = LOOK) -> None:
        """Wait so long, or until it has ended."""
        with suppress(TimeoutExpired):
            self._process.process.wait(seconds)

    def wait_until_it_answers(self) -> None:
        """Wait until it has its run and answers, or has ended in order.

        Raises:
            PeerError: it failed.
        """
        while self.running:
            with suppress(NotRunningError), self.client() as client:
                # Another daemon may hold the home, and this one be about to say so.
                if client.status().pid == self._process.process.pid:
                    return
            self.rest(LOOK / 2)
        self.check()

    def client(self) -> ControlClient:
        """Return a connection to it, to be opened.

        Raises:
            PeerError: it has failed, or does not run.
        """
        self.check()
        return ControlClient(control_socket(self.home))

    def check(self) -> None:
        """See that it has not failed.

        Raises:
            PeerError: that with which it ended.
        """
        code = self._process.process.poll()
        if self._end.alive and code:
            self._failure = self._failure or self._read_failure(code)
            raise self._failure

    def last_status(self) -> Status:
        """Return the last word of a daemon that has ended in order.

        Raises:
            PeerError: it failed, or left none.
        """
        self.check()
        last = read_last_status(self.home)
        if last is None or last.pid != self._process.process.pid:
            raise NotRunningError(
                f"The peer in {self.home} has ended before it began to train",
                f"Its log is {self._process.log}",
            )
        return last

    def end(self) -> None:
        """End it, if it lives; what it failed with is of no interest from now on."""
        self._end()

    def _read_failure(self, code: int) -> PeerError:
        pipe = self._process.process.stdout
        said = pipe.read().splitlines() if pipe is not None else []
        try:
            told = msgspec.json.decode(said[-1], type=Failed)
        except (IndexError, msgspec.MsgspecError):
            how = f"code {code}" if code > 0 else f"signal {-code}"
            return PeerError(f"The daemon of {self.home} ended with {how}", f"Its log is {self._process.log}")
        return of_another_process(told.code, told.message, told.remedy)


def _end(process: LocalPeer, owner: int) -> None:
    if os.getpid() != owner:
        return  # the program has forked, and this is the end of the other one
    end([process])
    if process.process.stdout is not None:
        process.process.stdout.close()
