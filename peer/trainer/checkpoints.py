"""When checkpoints are written: when the last one is old, and at the end."""

import math
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Protocol

from peer.errors import HomeError
from peer.trainer import checkpoint
from protocol.trainer import Checkpointed, CheckpointFailed

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
        begun, inner_step = time.monotonic(), self._replica.counters.inner_step
        try:
            path = self._draft().complete()
        finally:
            seconds = self._postpone(begun)
        return Checkpointed(inner_step=inner_step, path=str(path), seconds=seconds)

    def begin(self) -> Callable[[], Checkpointed | CheckpointFailed]:
        """Write the tensors as they are now; what is returned makes a checkpoint of them, beside training.

        A disk that refuses is not the end: the weights in memory are worth more than a checkpoint.

        Raises:
            TrainerError: the weights are not finite.
        """
        begun, inner_step = time.monotonic(), self._replica.counters.inner_step
        try:
            draft = self._draft()
        except HomeError as error:
            self._postpone(begun)
            failed = CheckpointFailed(inner_step=inner_step, reason=error.message)
            return lambda: failed
        self._next = math.inf
        return partial(self._complete, draft, inner_step, time.monotonic() - begun)

    def attempt(self) -> Checkpointed | CheckpointFailed:
        """Write one now, if the disk lets us.

        Raises:
            TrainerError: the weights are not finite.
        """
        return self.begin()()

    def _draft(self) -> checkpoint.Draft:
        return checkpoint.Draft(self._folder, self._run_id, self._replica.contents())

    def _complete(
        self, draft: checkpoint.Draft, inner_step: int, drafting: float
    ) -> Checkpointed | CheckpointFailed:
        # Between the draft and this others' work may have come first: that is no part of writing.
        begun = time.monotonic() - drafting
        try:
            path = draft.complete()
        except HomeError as error:
            return CheckpointFailed(inner_step=inner_step, reason=error.message)
        finally:
            seconds = self._postpone(begun)
        return Checkpointed(inner_step=inner_step, path=str(path), seconds=seconds)

    def _postpone(self, begun: float) -> float:
        """Say when the next is due, after one that was begun then; return the seconds that it took."""
        now = time.monotonic()
        self._next = now + max(CHECKPOINT_SECONDS, CHECKPOINT_SHARE * (now - begun))
        return now - begun
