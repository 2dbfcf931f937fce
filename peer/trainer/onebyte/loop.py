"""The loop of a `onebyte` trainer: cast votes, and count those of others in between."""

from pathlib import Path

from peer.trainer.checkpoints import Checkpoints
from peer.trainer.device import give_back_cache
from peer.trainer.link import Closed, Link
from peer.trainer.meter import Meter
from peer.trainer.onebyte.voter import Voter
from peer.trainer.starving import LOOK_AGAIN, Starving
from protocol.codec import decode
from protocol.limits import MAX_VOTERS, MAX_VOTES
from protocol.manifest import Manifest
from protocol.trainer import (
    Finish,
    Finished,
    Log,
    Logs,
    Pause,
    Paused,
    Progress,
    Resume,
    Settled,
    Tallied,
    ToTrainer,
    Voted,
    Votes,
)
from protocol.votes import RATE_ONE, rate

MAX_LOGS = MAX_VOTERS * (MAX_VOTES + 128)
"""Bytes of a file of logs."""


def read_logs(file: Path) -> tuple[Log, ...]:
    """Return the logs in a file of the spool folder, and delete it."""
    data = file.read_bytes()
    file.unlink()
    return decode(data, Logs, MAX_LOGS).logs


class Loop:
    """One trainer's voting, from the voter's present state until it is told to end."""

    def __init__(
        self,
        link: Link,
        manifest: Manifest,
        voter: Voter,
        checkpoints: Checkpoints,
        spool_folder: Path,
        stop_at: int | None,
    ) -> None:
        self._link = link
        self._manifest = manifest
        self._voter = voter
        self._checkpoints = checkpoints
        self._spool = spool_folder
        self._stop_at = stop_at
        self._meter = Meter(voter.theta.device)
        self._stopping = False
        self._paused = False

    def run(self) -> None:
        """Vote while there are steps left, then count on. At the end `Finished` has been sent.

        Raises:
            HomeError: the disk refused the last checkpoint.
            TrainerError: the losses are not finite.
        """
        if not self._voting:
            self._send_votes(0, b"")
        while not self._stopping:
            if self._voting:
                if self._data_is_here():
                    self._cast()
                while (message := self._link.poll()) is not None:
                    self._answer(message)
            else:
                self._answer(self._link.wait())
            if self._meter.due:
                self._report()
            if self._paused:
                self._rest()
            if self._checkpoints.due:
                self._link.send(self._checkpoints.attempt())
        self._report()
        self._link.send(self._checkpoints.write())
        step = self._voter.counters.inner_step
        self._link.send(Finished(inner_step=step, reached_stop=self._reached_stop))

    @property
    def _voting(self) -> bool:
        return not self._reached_stop and self._voter.counters.inner_step < self._voter.last_step

    @property
    def _reached_stop(self) -> bool:
        return self._stop_at is not None and self._voter.counters.inner_step >= self._stop_at

    def _data_is_here(self) -> bool:
        """Wait for the next batch, and count others' votes meanwhile."""
        wait = Starving(self._link)
        while (reason := self._voter.lacks) is not None and not self._stopping and not self._paused:
            if wait.is_news(reason):
                self._report()
                wait.tell(reason, self._voter.counters.inner_step)
            if (message := self._link.wait_for(LOOK_AGAIN)) is not None:
                self._answer(message)
        if wait.end():
            self._meter.restart()
        return reason is None and self._voting and not self._stopping

    def _cast(self) -> None:
        ballot = self._voter.cast()
        self._meter.count(ballot.loss)
        self._send_votes(ballot.start, ballot.votes)

    def _rest(self) -> None:
        """Neither cast nor count until told to go on: to count others' votes takes the device too."""
        self._report()
        self._link.send(Paused(inner_step=self._voter.counters.inner_step))
        give_back_cache(self._voter.theta.device)
        later: list[Votes] = []
        while self._paused and not self._stopping:
            message = self._link.wait()
            if isinstance(message, Votes):
                later.append(message)
            else:
                self._answer(message)
        for votes in later:
            self._answer(votes)
        self._meter.restart()

    def _send_votes(self, start: int, votes: bytes) -> None:
        # A peer that was not told when to stop stays for good, and helps newcomers.
        final = self._stop_at is not None and not self._voting
        self._link.send(Voted(start=start, votes=votes, final=final))

    def _answer(self, message: ToTrainer | Closed) -> None:
        if isinstance(message, Votes):
            self._voter.count(read_logs(self._spool / message.file))
            self._link.send(Tallied(votes=self._voter.votes))
        elif isinstance(message, Pause | Resume):
            self._paused = isinstance(message, Pause)
        elif isinstance(message, Settled | Finish | Closed):
            self._stopping = True

    def _report(self) -> None:
        reading = self._meter.read()
        if reading is None:
            return
        now, manifest = self._voter.counters, self._manifest
        step_rate = rate(manifest.inner, now.inner_step - 1) / RATE_ONE
        self._link.send(
            Progress(
                inner_step=now.inner_step,
                outer_step=now.outer_step,
                tokens=now.tokens,
                loss=reading.loss,
                tokens_per_second=self._voter.tokens_per_step / reading.seconds_per_step,
                learning_rate=manifest.onebyte.learning_rate * step_rate,
                next_boundary=0.0,
            )
        )
