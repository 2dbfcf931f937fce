"""Who waits for which answer of the trainer."""

from collections import deque
from pathlib import Path
from typing import Any, Generic, TypeAlias, TypeVar

import trio

from peer.swarm.learner import LearnerGoneError
from protocol import trainer as ipc

Answer: TypeAlias = ipc.Encoded | ipc.Opened | ipc.Mixed | ipc.Parts | ipc.Reduced | ipc.Captured
Key: TypeAlias = tuple[type[object], *tuple[int, ...]]
"""What an answer is to: its kind, the share where there is one, the part where there is one."""

T = TypeVar("T", bound=Answer)


class Waiting(Generic[T]):
    """One who waits for an answer."""

    def __init__(self) -> None:
        self._said = trio.Event()
        self._value: T | None = None
        self.gone = False
        """Has stopped waiting: the answer's files are nobody's."""

    def give(self, value: T | None) -> None:
        """Bring the answer; None: it will never come."""
        self._value = value
        self._said.set()

    async def wait(self) -> T:
        """Return the answer.

        Raises:
            LearnerGoneError: it will never come.
        """
        try:
            await self._said.wait()
        finally:
            self.gone = True
        if self._value is None:
            raise LearnerGoneError
        return self._value


class Answers:
    """Brings answers to those who asked.

    A trainer answers in the order of its questions, so of several questions alike the oldest is answered. Who
    asked and left keeps its place, and the files of the answer are deleted.
    """

    def __init__(self, spool: Path) -> None:
        self._spool = spool
        self._waiting: dict[Key, deque[Waiting[Any]]] = {}

    def expect(self, key: Key, waiting: Waiting[T]) -> None:
        """Take in a question that is about to be asked."""
        self._waiting.setdefault(key, deque()).append(waiting)

    def retract(self, key: Key, waiting: Waiting[T]) -> None:
        """Take back a question that was not asked after all."""
        asked = self._waiting.get(key)
        if asked is not None and waiting in asked:
            asked.remove(waiting)

    def take(self, message: ipc.FromTrainer) -> None:
        """Bring a message to who waits for it, if it is an answer."""
        if not isinstance(message, Answer):
            return
        waiting = self._waiting.get(_key(message))
        if not waiting:
            self._discard(message)
            return
        asked = waiting.popleft()
        if not waiting:
            del self._waiting[_key(message)]
        if asked.gone:
            self._discard(message)
        else:
            asked.give(message)

    def fail(self) -> None:
        """Say to all that the trainer is gone."""
        for waiting in self._waiting.values():
            for asked in waiting:
                asked.give(None)
        self._waiting.clear()

    def _discard(self, answer: Answer) -> None:
        for name in _files(answer):
            (self._spool / name).unlink(missing_ok=True)


def _key(answer: Answer) -> Key:
    match answer:
        case ipc.Captured():
            return (ipc.Captured,)
        case ipc.Reduced():
            return (ipc.Reduced, answer.share, answer.part)
        case _:
            return (type(answer), answer.share)


def _files(answer: Answer) -> list[str]:
    match answer:
        case ipc.Captured():
            return [] if answer.state is None else [answer.state.file]
        case ipc.Encoded() | ipc.Reduced():
            blobs = (answer.body,)
        case ipc.Opened():
            blobs = (answer.failed,)
        case ipc.Parts():
            return [blob.file for blob in answer.parts]
        case ipc.Mixed():
            return []
    return [blob.file for blob in blobs if blob is not None]
