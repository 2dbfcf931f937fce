"""The training loop: inner steps, outer steps, and whatever the daemon has to say in between."""

import time
from pathlib import Path
from typing import Protocol

import torch

from peer.errors import HomeError
from peer.trainer import checkpoint, spool
from peer.trainer.device import give_back_cache
from peer.trainer.inner import learning_rate
from peer.trainer.link import Closed, Link
from peer.trainer.meter import Meter
from peer.trainer.replica import Replica
from peer.trainer.sharing import Question, Sharing
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
    State,
    ToTrainer,
)

CHECKPOINT_SECONDS = 60.0
"""Age of the last checkpoint at which a boundary writes the next."""

CHECKPOINT_SHARE = 20.0
"""Where writing is slow, checkpoints are at least so many times further apart than one takes."""


class Saveable(Protocol):
    """What has checkpoints: a replica, or a voter of `onebyte`."""

    counters: checkpoint.Counters

    def contents(self) -> checkpoint.Contents:
        """Return what a checkpoint holds."""


class Checkpoints:
    """Writes a replica's checkpoints to `folder` when the last one is old, or when told to."""

    def __init__(self, replica: Saveable, folder: Path, run_id: bytes) -> None:
        self._replica = replica
        self._folder = folder
        self._run_id = run_id
        self._next = time.monotonic() + CHECKPOINT_SECONDS

    @property
    def due(self) -> bool:
        """Whether the next boundary should write one."""
        return time.monotonic() >= self._next

    def write(self) -> Checkpointed:
        """Write one now.

        Raises:
            HomeError: the disk refused.
            TrainerError: the weights are not finite.
        """
        begun = time.monotonic()
        try:
            path = checkpoint.save(self._folder, self._run_id, self._replica.contents())
        finally:
            seconds = time.monotonic() - begun
            self._next = begun + seconds + max(CHECKPOINT_SECONDS, CHECKPOINT_SHARE * seconds)
        return Checkpointed(inner_step=self._replica.counters.inner_step, path=str(path), seconds=seconds)

    def attempt(self) -> Checkpointed | CheckpointFailed:
        """Write one now if the disk lets us: the weights in memory are worth more than a checkpoint.

        Raises:
            TrainerError: the weights are not finite.
        """
        try:
            return self.write()
        except HomeError as error:
            return CheckpointFailed(inner_step=self._replica.counters.inner_step, reason=error.message)


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
        self._meter = Meter(replica.theta.device)
        self._stopping = False
        self._paused = False

    def run(self) -> None:
        """Train. At the end the last checkpoint is written and `Finished` has been sent.

        Raises:
            HomeError: the disk refused the last checkpoint.
            TrainerError: the weights are not finite.
        """
        while not self._stopping and not self._reached_stop():
            self._meter.count(self._replica.take_inner_step())
            # Before the boundary, which closes a share that nobody has said to keep.
            while (message := self._link.poll()) is not None:
                self._answer(message)
            if (fragment := self._replica.due) is not None:
                self._cross_boundary(fragment)
            if self._meter.due:
                self._report()
            if self._paused:
                self._rest()
        self._wait_for_mixes()
        for fragment in self._replica.fragments:
            self._replica.settle(fragment)
        self._report()
        self._link.send(self._checkpoints.write())
        inner_step = self._replica.counters.inner_step
        self._link.send(Finished(inner_step=inner_step, reached_stop=self._reached_stop()))

    def _reached_stop(self) -> bool:
        return self._stop_at is not None and self._replica.counters.inner_step >= self._stop_at

    def _cross_boundary(self, fragment: Fragment) -> None:
        boundary = self._replica.take_outer_step(fragment)
        if boundary is not None:
            self._link.send(self._sharing.publish(boundary))
            if not self._replica.rule.overlap:
                self._wait_for_mixes()
        if self._checkpoints.due:
            self._link.send(self._checkpoints.attempt())

    def _wait_for_mixes(self) -> None:
        """Wait until no share is open: the daemon closes each within its deadline, with or without a mix."""
        while self._sharing.waiting and not self._stopping:
            self._answer(self._link.wait())

    def _rest(self) -> None:
        """Make no step until told to go on; the daemon is answered meanwhile."""
        self._report()
        self._link.send(Paused(inner_step=self._replica.counters.inner_step))
        give_back_cache(self._replica.theta.device)
        began = time.monotonic()
        while self._paused and not self._stopping:
            self._answer(self._link.wait())
        if time.monotonic() - began > self._meter.pace * self._manifest.outer.every:
            self._replica.was_away()
        self._meter.restart()

    def _answer(self, message: ToTrainer | Closed) -> None:
        if isinstance(message, Question):
            for answer in self._sharing.answer(message):
                self._link.send(answer)
        elif isinstance(message, NoMix):
            self._sharing.drop(message.share)
        elif isinstance(message, Keep):
            self._sharing.keep(message.share)
        elif isinstance(message, Capture):
            self._link.send(self._capture())
        elif isinstance(message, Pause | Resume):
            self._paused = isinstance(message, Pause)
        elif isinstance(message, Finish | Closed):
            self._stopping = True

    def _capture(self) -> Captured:
        """Write φ and m, with the progress that φ stands for: that of the last boundary of any fragment.

        The other fragments of φ are as old as their own last boundaries: up to H inner steps older.
        """
        replica, now = self._replica, self._replica.counters
        phi = replica.theta if replica.outer is None else replica.outer.phi
        momentum = torch.zeros_like(phi) if replica.outer is None else replica.outer.momentum
        since = 0 if replica.outer is None else min(map(replica.steps_since, replica.fragments))
        target = spool.fresh(self._spool, "state")
        size, hashes = spool.write_state(target, (phi, momentum))
        state = State(
            file=target.name,
            inner_step=now.inner_step - since,
            outer_step=now.outer_step,
            tokens=now.tokens - since * replica.batch * self._manifest.model.context,
        )
        return Captured(state=state, size=size, hashes=hashes)

    def _report(self) -> None:
        reading = self._meter.read()
        if reading is None:
            return
        now, manifest = self._replica.counters, self._manifest
        every = manifest.outer.every
        to_boundary = min(every - self._replica.steps_since(part) for part in self._replica.fragments)
        tokens_per_step = self._replica.batch * manifest.model.context
        self._link.send(
            Progress(
                inner_step=now.inner_step,
                outer_step=now.outer_step,
                tokens=now.tokens,
                loss=reading.loss,
                tokens_per_second=tokens_per_step / reading.seconds_per_step,
                learning_rate=learning_rate(manifest.inner, now.inner_step - 1, now.own_steps - 1),
                next_boundary=to_boundary * reading.seconds_per_step,
            )
        )
