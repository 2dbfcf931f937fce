"""Hands the ledger to the trainer: whole when it begins, then what is new, one file at a time."""

from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

import trio

from peer.swarm.learner import LearnerGoneError
from peer.swarm.ledger import Ledger
from protocol.codec import encode
from protocol.pages import News
from protocol.trainer import Log, Logs, Tallied, Votes

PAUSE = 0.2
"""Seconds between two files: many votes at once are counted faster."""

MOST_AT_ONCE = 4096
"""Votes of one voter in a file of news: one that casts a flood waits longer, and holds up nobody."""


class HandOver:
    """Remembers what the trainer has been given.

    Our own votes come from the trainer and do not go back to it, except whole when it begins.
    """

    def __init__(
        self, ledger: Ledger, own: bytes, spool: Path, tell: Callable[[Votes], Awaitable[None]]
    ) -> None:
        self._ledger = ledger
        self._own = own
        self._spool = spool
        self._tell = tell
        self._given: dict[bytes, int] = {}
        """Votes that the trainer has of each voter."""
        self._files = 0
        self._news = trio.Event()
        self._answered = trio.Event()
        self._caught_up = trio.Event()
        self._caught_up.set()
        ledger.on_change(self._changed)

    def _changed(self, voter: bytes, why: News | None) -> None:
        del voter, why
        if not self._news.is_set():
            self._news.set()
            self._caught_up = trio.Event()

    def whole(self) -> str:
        """Write every log to a file for a trainer that begins, and return its name."""
        self._answered.set()
        logs = [Log(voter=voter, start=0, votes=self._ledger.votes(voter)) for voter in self._ledger.voters()]
        self._given = {log.voter: len(log.votes) for log in logs}
        return self._write(logs)

    async def run(self) -> None:
        """Hand over news as it comes, until cancelled; the next file follows once the last one is counted."""
        while True:
            await self._news.wait()
            await trio.sleep(PAUSE)
            self._news = trio.Event()
            while logs := self._new_logs():
                await self._give(logs)
            if not self._news.is_set():
                self._caught_up.set()

    async def _give(self, logs: list[Log]) -> None:
        name = self._write(logs)
        self._answered = trio.Event()
        try:
            await self._tell(Votes(file=name))
        except LearnerGoneError:
            # The next trainer gets everything when it begins.
            (self._spool / name).unlink(missing_ok=True)
            self._answered.set()
        await self._answered.wait()

    def tallied(self, message: Tallied) -> None:
        """Hear that the trainer has counted the last file."""
        del message
        self._answered.set()

    async def finish(self) -> None:
        """Wait until the trainer has counted all that the ledger holds."""
        await self._caught_up.wait()

    def _new_logs(self) -> list[Log]:
        logs = [log for voter in {*self._ledger.voters(), *self._given} if (log := self._new_log(voter))]
        self._given |= {log.voter: log.start + len(log.votes) for log in logs}
        return logs

    def _new_log(self, voter: bytes) -> Log | None:
        given, held = self._given.get(voter, 0), self._ledger.count(voter)
        if held < given and (voter != self._own or self._ledger.guilty(voter)):
            return Log(voter=voter, start=0, votes=b"")
        if held > given and voter != self._own:
            votes = self._ledger.votes(voter)[given : given + MOST_AT_ONCE]
            return Log(voter=voter, start=given, votes=votes)
        return None

    def _write(self, logs: Iterable[Log]) -> str:
        self._files += 1
        name = f"votes-{self._files}"
        (self._spool / name).write_bytes(encode(Logs(logs=tuple(logs))))
        return name
