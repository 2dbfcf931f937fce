"""The training loop: inner steps, outer steps, and whatever the daemon has to say in between."""

import logging
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from pathlib import Path

from peer.trainer.beside import Beside
from peer.trainer.capture import Snapshot, capture
from peer.trainer.checkpoints import Checkpoints
from peer.trainer.inner import learning_rate
from peer.trainer.link import Closed, Link
from peer.trainer.meter import Meter
from peer.trainer.replica import Boundary, Replica
from peer.trainer.sharing import Question, Sharing
from peer.trainer.starving import LOOK_AGAIN, Starving
from protocol.fragments import Fragment
from protocol.manifest import Manifest
from protocol.trainer import (
    Capture,
    Captured,
    Checkpointed,
    CheckpointFailed,
    Finish,
    Finished,
    Keep,
    NoMix,
    Pause,
    Paused,
    Progress,
    Resume,
    Save,
    ShareFailed,
    Slept,
    ToTrainer,
)

ONE_THREAD = "mps"
"""A device whose driver dies of two threads (pytorch issue 197805): training waits for what is done there."""

LONG_WAIT = 16
"""Outer steps after which a wait for data has made our weights old. One of a few is no absence: a host whose
stream is slow has weights as good as one whose device is."""

_log = logging.getLogger(__name__)


class Loop:
    """One trainer's training, from the replica's present state until it is told, or has come, to stop."""

    def __init__(
        self,
        link: Link,
        manifest: Manifest,
        replica: Replica,
        checkpoints: Checkpoints,
        spool_folder: Path,
        stop_at: int | None,
    ) -> None:
        self._link = link
        self._manifest = manifest
        self._replica = replica
        self._checkpoints = checkpoints
        self._spool = spool_folder
        self._stop_at = stop_at
        self._sharing = Sharing(replica, spool_folder, manifest.codecs)
        self._turns = self._sharing.turns
        self._beside = Beside()
        self._published: Future[None] | None = None
        self._meter = Meter(replica.theta.device)
        self._stopping = False
        self._paused = False

    def run(self) -> None:
        """Train. At the end the last checkpoint is written and `Finished` has been sent.

        Raises:
            HomeError: the disk refused the last checkpoint.
            TrainerError: the weights are not finite.
        """
        with self._turns.training():
            try:
                self._train()
                # Now: what comes is no training, and would count as a very slow step.
                self._report()
                self._wait_for_mixes()
                # A partner may have mixed already what waits to be mixed here: both do, or neither.
                self._catch_up()
            finally:
                with self._turns.given():
                    self._beside.close()
            self._end()

    def _train(self) -> None:
        while not self._stopping and not self._reached_stop():
            if not self._data_is_here():
                continue
            self._meter.count(self._replica.take_inner_step())
            # Before the boundary, which closes a share that nobody has said to keep.
            while (message := self._link.poll()) is not None:
                self._answer(message)
            self._turns.give()
            self._beside.check()
            if (fragment := self._replica.due) is not None:
                self._cross_boundary(fragment)
            if self._meter.due:
                self._report()
            if self._paused:
                self._rest()

    def _data_is_here(self) -> bool:
        """Wait for the next batch, and answer the daemon meanwhile; not for long where training may end."""
        wait = Starving(self._link)
        while (reason := self._replica.lacks) is not None and not self._stopping and not self._paused:
            if wait.is_news(reason):
                self._report()
                wait.tell(reason, self._replica.counters.inner_step)
            with self._turns.given():
                message = self._link.wait_for(LOOK_AGAIN)
            if message is not None:
                self._answer(message)
            self._beside.check()
        if wait.end():
            self._came_late(wait.began, LONG_WAIT)
        if self._paused:
            self._rest()
        return reason is None and not self._stopping

    def _came_late(self, began: float, outer_steps: int = 1) -> None:
        """Go on after steps that were not made: the others have gone far if they were so many outer steps."""
        if time.monotonic() - began > self._meter.pace * self._manifest.outer.every * outer_steps:
            self._replica.was_away()
        self._meter.restart()

    def _end(self) -> None:
        for fragment in self._replica.fragments:
            self._replica.settle(fragment)
        self._link.send(self._checkpoints.write())
        inner_step = self._replica.counters.inner_step
        self._link.send(Finished(inner_step=inner_step, reached_stop=self._reached_stop()))

    def _reached_stop(self) -> bool:
        return self._stop_at is not None and self._replica.counters.inner_step >= self._stop_at

    def _cross_boundary(self, fragment: Fragment) -> None:
        if self._published is not None:
            # A share that is not written yet holds a copy of the weights: there is never more than one.
            with self._turns.given():
                self._published.result()
        boundary = self._replica.take_outer_step(fragment)
        if boundary is not None:
            self._published = self._do_beside(partial(self._publish, boundary))
            if not self._replica.rule.overlap:
                self._wait_for_mixes()
        if self._checkpoints.due:
            self._do_beside(partial(self._complete, self._checkpoints.begin()))

    def _wait_for_mixes(self) -> None:
        """Wait until no share is open: the daemon closes each within its deadline, with or without a mix."""
        while not self._stopping:
            self._catch_up()
            if not self._sharing.waiting:
                return
            self._answer(self._link.wait())

    def _do_beside(self, job: Callable[[], None]) -> Future[None]:
        submitted = self._beside.submit(job)
        if self._replica.theta.device.type == ONE_THREAD:
            self._catch_up()
        return submitted

    def _catch_up(self) -> None:
        """Wait until everything beside training is done."""
        with self._turns.given():
            self._beside.finish()

    def _rest(self) -> None:
        """Make no step until told to go on; the daemon is answered meanwhile."""
        self._report()
        self._link.send(Paused(inner_step=self._replica.counters.inner_step))
        self._replica.gradients.rest()
        began = time.monotonic()
        while self._paused and not self._stopping:
            with self._turns.given():
                message = self._link.wait()
            self._answer(message)
        self._came_late(began)

    def _answer(self, message: ToTrainer | Closed) -> None:
        if isinstance(message, Question):
            self._do_beside(partial(self._reply, message))
        elif isinstance(message, NoMix):
            self._do_beside(partial(self._sharing.drop, message.share))
        elif isinstance(message, Keep):
            self._do_beside(partial(self._sharing.keep, message.share))
        elif isinstance(message, Capture):
            self._do_beside(partial(self._give, capture(self._replica)))
        elif isinstance(message, Pause | Resume):
            self._paused = isinstance(message, Pause)
        elif isinstance(message, Slept):
            self._replica.was_away()
        elif isinstance(message, Save):
            self._catch_up()  # a checkpoint may be on its way to the disk
            self._link.send(self._checkpoints.attempt())
        elif isinstance(message, Finish | Closed):
            self._stopping = True

    def _publish(self, boundary: Boundary) -> None:
        try:
            share = self._sharing.publish(boundary)
        except OSError as error:
            self._link.send(ShareFailed(outer_step=boundary.outer_step, reason=str(error)))
        else:
            self._link.send(share)

    def _reply(self, question: Question) -> None:
        for answer in self._sharing.answer(question):
            self._link.send(answer)

    def _complete(self, checkpoint: Callable[[], Checkpointed | CheckpointFailed]) -> None:
        self._link.send(checkpoint())

    def _give(self, snapshot: Snapshot) -> None:
        try:
            captured = snapshot.write(self._spool)
        except OSError as error:
            _log.warning("no state for a newcomer: %s", error)
            captured = Captured(state=None)
        self._link.send(captured)

    def _report(self) -> None:
        reading = self._meter.read()
        if reading is None:
            return
        now, manifest = self._replica.counters, self._manifest
        every = manifest.outer.every
        to_boundary = min(every - self._replica.steps_since(part) for part in self._replica.fragments)
        self._link.send(
            Progress(
                inner_step=now.inner_step,
                outer_step=now.outer_step,
                tokens=now.tokens,
                loss=reading.loss,
                tokens_per_second=self._replica.tokens_per_step / reading.seconds_per_step,
                learning_rate=learning_rate(manifest.inner, now.inner_step - 1, now.own_steps - 1),
                next_boundary=to_boundary * reading.seconds_per_step,
            )
        )
