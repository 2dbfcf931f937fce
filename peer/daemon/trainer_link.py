"""Keeps a trainer running: talks to it, and brings it back when it dies."""

import signal
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import trio

from peer.daemon import last_words
from peer.daemon.answers import Answer, Answers, Key, Waiting
from peer.daemon.oom_kills import kills
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

T = TypeVar("T", bound=Answer)


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


class TrainerLink:
    """The daemon's side of the trainer. It is the swarm's `Learner`.

    `on_death` hears the exit code, the restarts with the one that follows, and what was said last.
    `begin` is asked anew for each start, since what a trainer starts from changes: a donor's state at first,
    another's where that was of no use, its own checkpoint after a death.
    """

    def __init__(
        self,
        *,
        begin: Callable[[], Awaitable[ipc.Begin]],
        on_message: Callable[[ipc.FromTrainer], None],
        on_death: Callable[[int, int, str], None],
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
        self._answers = Answers(spool)
        self._finished: ipc.Finished | None = None
        self._failed: ipc.Failed | None = None
        self._stop = trio.Event()
        self._renewing = False
        self._saving = trio.Event()
        self._unsaved = ""
        self._loading = False
        self._stepped = False
        self._restarts = 0
        self.out_of_memory = False
        """The trainer before was ended by the system, as its memory ran out."""

    async def run(self) -> ipc.Finished | None:
        """Keep a trainer running until it finishes or is told to.

        Returns:
            Its last word, or None where it was ended without one.

        Raises:
            PeerError: it failed in a way that restarting does not mend.
        """
        fruitless, pause = 0, FIRST_PAUSE
        while not self._stop.is_set():
            written = last_words.size(self._log)
            code = await self._live_once()
            if self._was_renewed():
                continue
            if self._failed is not None:
                raise ForeignFailureError(self._failed)
            if self._finished is not None or self._stop.is_set():
                break
            if self._stepped:
                fruitless, pause = 0, FIRST_PAUSE
            else:
                fruitless += 1
            said = last_words.last_words(self._log, written)
            if fruitless >= FRUITLESS:
                raise TrainerError(
                    f"The trainer died {fruitless} times before its first step (last exit code {code})"
                    + (f": {said}" if said else ""),
                    f"Read {self._log} for its last words",
                )
            self._restarts += 1
            self._on_death(code, self._restarts, said)
            with trio.move_on_after(pause):
                await self._stop.wait()
            pause = min(pause * 2, LONGEST_PAUSE)
        return self._finished

    def _was_renewed(self) -> bool:
        """Whether this trainer has ended in order so that another may begin. Any other end is a death."""
        renewing, self._renewing = self._renewing, False
        if (
            not renewing
            or self._stop.is_set()
            or (self._finished is not None and self._finished.reached_stop)
        ):
            return False
        in_order = self._finished is not None
        self._finished = self._failed = None
        return in_order

    async def _live_once(self) -> int:
        self._stepped = False
        trainer = self._trainer = await TrainerProcess.start(self._command, self._log)
        try:
            before = kills()
            await self._converse(trainer)
            code = await trainer.end()
            killed = code == -signal.SIGKILL and not trainer.ended_by_us
            # Where the system does not say whom it has ended, or why, this is most often why.
            self.out_of_memory = killed and (before is None or kills() != before)
            return code
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
            self._answers.fail()
            self._saving.set()

    async def _say_begin(self, trainer: TrainerProcess) -> None:
        # Until it has its orders a trainer has nothing to say to anybody, and drops what it is asked.
        self._begun = False
        self._answers.fail()
        begin: ipc.Begin | None = None
        with trio.CancelScope() as self._beginning:
            if not self._stop.is_set():
                # The trainer loads torch meanwhile.
                begin = await self._begin()
        if begin is None or self._stop.is_set():
            trainer.kill()
            return
        # What others gave is not in its checkpoint yet.
        self._loading = begin.state is None
        await trainer.send(begin)
        self._begun = True

    def _take(self, message: ipc.FromTrainer) -> None:
        match message:
            case ipc.Finished():
                self._finished = message
            case ipc.Failed():
                self._failed = message
            case ipc.Ready():
                self._loading = False
            case ipc.Progress():
                self._stepped = True
            case ipc.Checkpointed() | ipc.CheckpointFailed():
                self._unsaved = message.reason if isinstance(message, ipc.CheckpointFailed) else ""
                self._saving.set()
        self._answers.take(message)
        self._on_message(message)

    async def _send(self, message: ipc.ToTrainer) -> None:
        if self._trainer is None or not self._begun:
            raise LearnerGoneError
        await self._trainer.send(message)

    async def tell(self, message: ipc.ToTrainer) -> None:
        """Send a message that waits for no answer.

        Raises:
            LearnerGoneError: no trainer has begun.
        """
        await self._send(message)

    async def _ask(self, question: ipc.ToTrainer, kind: type[T], *about: int, files: Sequence[str] = ()) -> T:
        """Ask the trainer, which owns `files` once it has been asked; where it is gone they are deleted."""
        waiting = Waiting[T]()
        key: Key = (kind, *about)
        try:
            await self._send_first(question, key, waiting)
        except BaseException:
            self._delete(files)
            raise
        try:
            return await waiting.wait()
        except LearnerGoneError:
            self._delete(files)
            raise

    async def _send_first(self, question: ipc.ToTrainer, key: Key, waiting: Waiting[T]) -> None:
        self._answers.expect(key, waiting)
        try:
            await self._send(question)
        except BaseException:
            self._answers.retract(key, waiting)
            raise

    def _delete(self, files: Sequence[str]) -> None:
        for name in files:
            (self._spool / name).unlink(missing_ok=True)

    # ---- what the swarm asks of a learner

    async def mix(self, share: int, file: str | None, codec: str, tokens: int, standing: int) -> ipc.Mixed:
        """See `Learner`."""
        theirs = ipc.Theirs(share=share, file=file, codec=codec, tokens=tokens, standing=standing)
        return await self._ask(theirs, ipc.Mixed, share, files=_named(file))

    async def no_mix(self, share: int) -> None:
        """See `Learner`."""
        await self._send(ipc.NoMix(share=share))

    async def keep(self, share: int) -> None:
        """See `Learner`."""
        await self._send(ipc.Keep(share=share))

    async def capture(self) -> ipc.Captured:
        """See `Learner`."""
        return await self._ask(ipc.Capture(), ipc.Captured)

    async def encode(self, share: int, codec: str, bits: int, bounds: str | None) -> ipc.Encoded:
        """See `Learner`."""
        encode = ipc.Encode(share=share, codec=codec, bits=bits, bounds=bounds)
        return await self._ask(encode, ipc.Encoded, share, files=_named(bounds))

    async def open(self, share: int, file: str, codec: str) -> ipc.Opened:
        """See `Learner`."""
        opened = ipc.Open(share=share, file=file, codec=codec)
        return await self._ask(opened, ipc.Opened, share, files=[file])

    async def encode_again(self, share: int, failed: str) -> ipc.Encoded:
        """See `Learner`."""
        again = ipc.EncodeAgain(share=share, failed=failed)
        return await self._ask(again, ipc.Encoded, share, files=[failed])

    async def open_again(self, share: int, file: str) -> ipc.Opened:
        """See `Learner`."""
        return await self._ask(ipc.OpenAgain(share=share, file=file), ipc.Opened, share, files=[file])

    async def split(self, share: int, parts: int, codec: str, *, together: bool) -> ipc.Parts:
        """See `Learner`."""
        split = ipc.Split(share=share, parts=parts, codec=codec, together=together)
        return await self._ask(split, ipc.Parts, share)

    async def reduce(self, share: int, part: int, members: Sequence[ipc.Member]) -> ipc.Reduced:
        """See `Learner`."""
        reduce = ipc.Reduce(share=share, part=part, members=tuple(members))
        return await self._ask(reduce, ipc.Reduced, share, part, files=[each.file for each in members])

    async def assemble(self, share: int, parts: Sequence[str], weight: float) -> ipc.Mixed:
        """See `Learner`."""
        assemble = ipc.Assemble(share=share, parts=tuple(parts), weight=weight)
        return await self._ask(assemble, ipc.Mixed, share, files=parts)

    async def finish(self, patience: float = END_DEADLINE) -> None:
        """Let the trainer write its checkpoint and end, within `patience` seconds; then end it.

        One that has not begun, or waits to be started again, has nothing to write. Nor has one that loads:
        it may wait for data, and hears nothing.
        """
        self._stop.set()
        self._beginning.cancel()
        if self._trainer is not None and self._loading:
            self._trainer.kill()
        elif self._trainer is not None:
            await self._end(self._trainer, patience)

    async def save(self, patience: float) -> str:
        """Have the trainer write a checkpoint within `patience` seconds; say why it has not, or nothing."""
        self._saving, self._unsaved = trio.Event(), "the trainer does not answer"
        with trio.move_on_after(patience), suppress(LearnerGoneError):
            await self._send(ipc.Save())
            await self._saving.wait()
        return self._unsaved

    async def renew(self, patience: float) -> bool:
        """Let the trainer write its checkpoint and end, as `finish` does; the next begins in its place.

        Returns:
            Whether there was one that had begun. What has not begun yet asks what to begin from anyhow.
        """
        if self._trainer is None or not self._begun or self._stop.is_set():
            return False
        self._renewing = True
        await self._end(self._trainer, patience)
        return True

    async def _end(self, trainer: TrainerProcess, patience: float) -> None:
        with trio.move_on_after(patience):
            with suppress(LearnerGoneError):
                await self._send(ipc.Finish())
            await trainer.wait()
        trainer.kill()

    def statistics(self) -> LinkStatistics:
        """Restarts so far, and whether a trainer lives now."""
        pid = self._trainer.pid if self._trainer is not None else None
        return LinkStatistics(self._restarts, pid is not None, pid)


def _named(file: str | None) -> list[str]:
    return [] if file is None else [file]
