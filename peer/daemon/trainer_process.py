"""One trainer process: its start, the frames to and from it, and its end."""

import os
import signal
import socket
import subprocess
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

import psutil
import trio

from peer.programs import python
from peer.swarm.learner import LearnerGoneError
from protocol import trainer as ipc
from protocol.codec import decode, encode
from protocol.frames import FrameDecoder, frame

TRAINER = python("peer.trainer")

END_DEADLINE = 3.5
"""Seconds for the last checkpoint and the process's end; Ctrl-C promises 5 s in all."""

KILL_DEADLINE = 1.0
"""Seconds for what the trainer has started to be gone after it was killed."""

READ_SIZE = 65536

KEPT_MEMORY = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(1 << 62),
    "THP_MEM_ALLOC_ENABLE": "1",
}
"""The trainer keeps the memory that it frees. Otherwise glibc maps a copy of the weights anew at each outer
step, and the kernel fills it page by page. With 10 M parameters a copy takes 3 ms in memory that is kept and
6 to 80 ms in new memory; an inner step, which has large tensors too, takes 4 % less. The last is torch's:
memory comes in pages of 2 MiB, where the kernel has them."""


class TrainerProcess:
    """A process that leads a group of its own, and our end of the socket pair to it.

    Attributes:
        ended_by_us: it was killed here, as it did not end by itself.
    """

    def __init__(self, process: trio.Process, stream: trio.SocketStream) -> None:
        self._process = process
        self._stream = stream
        self._sending = trio.Lock()
        self._decoder = FrameDecoder(ipc.MAX_IPC)
        self._frames: deque[bytes] = deque()
        self._killed: list[psutil.Process] = []
        self.ended_by_us = False

    @classmethod
    async def start(cls, command: Sequence[str], log: Path) -> Self:
        """Start `command`, which is told its end of the socket pair; what it prints goes to `log`."""
        ours, theirs = socket.socketpair()
        with theirs, log.open("ab") as output:
            process = await trio.lowlevel.open_process(
                [*command, "--socket", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=[theirs.fileno()],
                # Ctrl-C goes to the whole foreground group; the trainer is told to finish by us instead.
                start_new_session=True,
                env=_environment(),
            )
        return cls(process, trio.SocketStream(trio.socket.from_stdlib_socket(ours)))

    @property
    def pid(self) -> int | None:
        """Its process id while it lives."""
        return self._process.pid if self._process.poll() is None else None

    async def send(self, message: ipc.ToTrainer) -> None:
        """Send a message, after those that others are sending: all of it, or nothing where that is cancelled.

        Raises:
            LearnerGoneError: it has hung up.
        """
        async with self._sending:
            try:
                # Half a frame would be the end of the conversation. A trainer takes what it is sent at once.
                with trio.CancelScope(shield=True):
                    await self._stream.send_all(frame(encode(message), ipc.MAX_IPC))
            except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
                raise LearnerGoneError from error

    async def receive(self) -> ipc.FromTrainer | None:
        """Return its next message, or None once it has hung up.

        Raises:
            ProtocolError: it sent something else.
        """
        while not self._frames:
            try:
                data = await self._stream.receive_some(READ_SIZE)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return None
            if not data:
                return None
            self._frames.extend(self._decoder.feed(data))
        return decode(self._frames.popleft(), ipc.FromTrainer, ipc.MAX_IPC)  # type: ignore[arg-type]

    async def wait(self) -> int:
        """Wait for its end and return the exit code: negative where a signal ended it."""
        code = await self._process.wait()
        killed, self._killed = self._killed, []
        if killed:
            # A driver may take a while to let a killed process go, with the memory that the next one needs.
            await trio.to_thread.run_sync(psutil.wait_procs, killed, KILL_DEADLINE)
        return code

    async def end(self) -> int:
        """Hang up, which ends it in order, or end it after `END_DEADLINE`; return the exit code."""
        self._stream.socket.close()
        with trio.move_on_after(END_DEADLINE):
            return await self.wait()
        self.kill()
        return await self.wait()

    def kill(self) -> None:
        """End it at once, if it lives, and whatever it started."""
        self._stream.socket.close()
        if self._process.poll() is None:
            self.ended_by_us = True
            # Ranks of several devices lead a group each, and one that hangs hears nothing else.
            self._killed = _started_by(self._process.pid)
            os.killpg(self._process.pid, signal.SIGKILL)
            for each in self._killed:
                with suppress(psutil.NoSuchProcess):
                    each.kill()


def _started_by(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _environment() -> dict[str, str]:
    """Leave one core to the daemon, and let memory be used again; what the person has set stands.

    Threads of torch that wait for each other spin; with more of them than cores, peers on one machine slow
    each other down tenfold and more.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return {"OMP_NUM_THREADS": str(max(cores - 1, 1)), **KEPT_MEMORY, **os.environ}
