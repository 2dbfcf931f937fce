"""Keeps a trainer running: talks to it, and brings it back when it dies."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import trio

from peer.daemon.trainer_process import END_DEADLINE, TRAINER, TrainerProcess
from peer.errors import Exit, PeerError, TrainerError
from peer.swarm.learner import LearnerGoneError
from protocol import trainer as ipc
from protocol.errors import ProtocolError

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0
"""Seconds before the trainer is started again: doubling while it keeps dying."""

FRUITLESS = 5
"""Deaths in a row without one inner step between them, after which the daemon gives up."""

REAP_DEADLINE = 1.0
"""Seconds that a trainer which was killed may need to be gone: a device's driver may hold it."""

T = TypeVar("T")


class ForeignFailureError(PeerError):
    """A failure that the trainer has described; carries the trainer's exit code."""

    def __init__(self, failure: ipc.Failed) -> None:
        super().__init__(failure.message, failure.remedy)
        # A number that this catalogue lacks comes from a trainer of another version.
        known = failure.code in set(Exit) - {Exit.DONE}
        self.code = Exit(failure.code) if known else Exit.TRAINER_FAILED


@dataclass(frozen=True, slots=True)
class LinkStatistics:
    """The trainer's lives."""

    restarts: int
    alive: bool
    pid: int | None


class _Answer(Generic[T]):
    """What the trainer will say, or never."""

    def __init__(self) -> None:
        self._said = trio.Event()
        self._value: T | None = None

    def give(self, value: T) -> None:
        self._value = value
        self._said.set()

    def fail(self) -> None:
        self._said.set()

    async def wait(self) -> T:
        await self._said.wait()
        if self._value is None:
            raise LearnerGoneError
        return self._value


class TrainerLink:
    """The daemon's side of the trainer. It is the swarm's `Learner`.

    `begin` is asked anew for each start, since what a trainer starts from changes: a donor's state at first,
    another's where that was of no use, its own checkpoint after a death.
    """

    def __init__(
        self,
        *,
        begin: Callable[[], Awaitable[ipc.Begin]],
        on_message: Callable[[ipc.FromTrainer], None],
        on_death: Callable[[int, int], None],
        spool: Path,
        log: Path,
        command: Sequence[str] = TRAINER,
    ) -> None:
        self._begin = begin
        self._on_message = on_message
        self._on_death = on_death
        self._spool = spool
        self._log = log
        self._command = command
        self._trainer: TrainerProcess | None = None
        self._begun = False
        self._beginning = trio.CancelScope()
        self._capturing = trio.Lock()
        self._mixes: dict[int, _Answer[ipc.Mixed]] = {}
        self._captured: _Answer[ipc.Captured] | None = None
        self._finished: ipc.Finished | None = None
        self._failed: ipc.Failed | None = None
        self._stop = trio.Event()
        self._stepped = False
        self._restarts = 0

    async def run(self) -> ipc.Finished | None:
        """Keep a trainer running until it finishes or is told to.

        Returns:
            Its last word, or None where it was ended without one.

        Raises:
            PeerError: it failed in a way that restarting does not mend.
        """
        fruitless, pause = 0, FIRST_PAUSE
        while not self._stop.is_set():
            code = await self._live_once()
            if self._failed is not None:
                raise ForeignFailureError(self._failed)
            if self._finished is not None or self._stop.is_set():
                break
            if self._stepped:
                fruitless, pause = 0, FIRST_PAUSE
            else:
                fruitless += 1
            if fruitless >= FRUITLESS:
                raise TrainerError(
                    f"The trainer died {fruitless} times before its first step (last exit code {code})",
                    f"Read {self._log} for its last words",
                )
            self._restarts += 1
            self._on_death(code, self._restarts)
            with trio.move_on_after(pause):
                await self._stop.wait()
            pause = min(pause * 2, LONGEST_PAUSE)
        return self._finished

    async def _live_once(self) -> int:
        self._stepped = False
        trainer = self._trainer = await TrainerProcess.start(self._command, self._log)
        try:
            await self._converse(trainer)
            return await trainer.end()
        finally:
            trainer.kill()
            with trio.move_on_after(REAP_DEADLINE) as reaping:
                reaping.shield = True
                await trainer.wait()

    async def _converse(self, trainer: TrainerProcess) -> None:
        """Say `Begin`, and take what the trainer says, down to its last word."""
        try:
            await self._say_begin(trainer)
            while not (self._finished or self._failed) and (message := await trainer.receive()):
                self._take(message)
                if isinstance(message, ipc.StateRefused):
                    await self._say_begin(trainer)
        except LearnerGoneError:
            return
        except ProtocolError as error:
            with suppress(OSError), self._log.open("a") as log:
                print(f"The daemon ended this trainer: {error}", file=log)
        finally:
            self._begun = False
            self._fail_answers()

    async def _say_begin(self, trainer: TrainerProcess) -> None:
        # Until it has its orders a trainer has nothing to say to anybody, and drops what it is asked.
        self._begun = False
        self._fail_answers()
        begin: ipc.Begin | None = None
        with trio.CancelScope() as self._beginning:
            if not self._stop.is_set():
                # The trainer loads torch meanwhile.
                begin = await self._begin()
        if begin is None or self._stop.is_set():
            trainer.kill()
            return
        await trainer.send(begin)
        self._begun = True

    def _fail_answers(self) -> None:
        for answer in self._mixes.values():
            answer.fail()
        self._mixes.clear()
        if self._captured is not None:
            self._captured.fail()
            self._captured = None

    def _take(self, message: ipc.FromTrainer) -> None:
        match message:
            case ipc.Mixed():
                if answer := self._mixes.pop(message.share, None):
                    answer.give(message)
            case ipc.Captured():
                if self._captured is not None:
                    self._captured.give(message)
            case ipc.Finished():
                self._finished = message
            case ipc.Failed():
                self._failed = message
            case ipc.Progress():
                self._stepped = True
        self._on_message(message)

    async def _send(self, message: ipc.ToTrainer) -> None:
        if self._trainer is None or not self._begun:
            raise LearnerGoneError
        await self._trainer.send(message)

    # ---- what the swarm asks of a learner

    async def mix(self, share: int, file: str, codec: str) -> ipc.Mixed:
        """See `Learner`."""
        answer = self._mixes[share] = _Answer()
        try:
            await self._send(ipc.Theirs(share=share, file=file, codec=codec))
            return await answer.wait()
        except LearnerGoneError:
            (self._spool / file).unlink(missing_ok=True)
            raise

    async def no_mix(self, share: int) -> None:
        """See `Learner`."""
        await self._send(ipc.NoMix(share=share))

    async def capture(self) -> ipc.Captured:
        """See `Learner`."""
        async with self._capturing:
            answer = self._captured = _Answer()
            try:
                await self._send(ipc.Capture())
                return await answer.wait()
            finally:
                self._captured = None

    async def finish(self) -> None:
        """Let the trainer write its checkpoint and end, within `END_DEADLINE`; then end it.

        One that has not begun, or waits to be started again, has nothing to write.
        """
        self._stop.set()
        self._beginning.cancel()
        if self._trainer is None:
            return
        with trio.move_on_after(END_DEADLINE):
            with suppress(LearnerGoneError):
                await self._send(ipc.Finish())
            await self._trainer.wait()
        self._trainer.kill()

    def statistics(self) -> LinkStatistics:
        """Restarts so far, and whether a trainer lives now."""
        pid = self._trainer.pid if self._trainer is not None else None
        return LinkStatistics(self._restarts, pid is not None, pid)
