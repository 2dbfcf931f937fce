"""How many examples of a batch pass at once: found on the first batch, remembered, lowered if need be."""

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

import torch

from peer.errors import TrainerError
from peer.trainer import room
from peer.trainer.device import give_back_cache
from peer.trainer.feed import Batch
from peer.trainer.largest import largest, reckon
from peer.trainer.notes import Notes
from peer.trainer.parts import cut, largest_portion, size
from protocol.trainer import Fitted, How

COPIES = 5
"""Copies of the trained weights that sharing and mixing hold beside training, at the most. Measured with
`modulo` and `int8`: two for the shares of a boundary, one for what came, two while a mix lands."""

WHOLE = sys.maxsize
"""Examples that fit where all do: more might have."""

T = TypeVar("T")


class Trials(Protocol):
    """What can pass examples for no other reason than to see whether they fit."""

    def gradient(self, examples: Batch) -> object:
        """Take them through all that a step takes them through; what that leaves may stay until `forget`."""

    def forget(self) -> None:
        """Put everything back as it was before the first pass, or before one that did not end."""


class Fitting:
    """The most examples in one pass on one device.

    Attributes:
        most: so many; None before anybody knows. A batch of no more passes whole.
    """

    def __init__(
        self,
        device: torch.device,
        weights: int,
        notes: Notes,
        tell: Callable[[Fitted], None],
        cap: int | None = None,
        sharers: int = 1,
        allowed: float | None = None,
    ) -> None:
        """Begin with what the home remembers.

        Args:
            device: on which they pass.
            weights: bytes of the weights that are trained.
            notes: remember it.
            tell: hears what is found, and what has changed.
            cap: more is not asked for; None for any number.
            sharers: processes of this peer that have the device's memory together.
            allowed: bytes of the machine's memory that they may have, where the device is the CPU.
        """
        self._device = device
        self._spare = COPIES * weights
        self._notes = notes
        self._tell = tell
        self._cap = cap
        self._sharers = sharers
        self._allowed = math.inf if allowed is None else allowed
        self.most = notes.read()
        self._unsaid = True

    def within(self, examples: Batch, trials: Trials, work: Callable[[int], T]) -> T:
        """Do something with a batch, so many examples at a time, and again with fewer where memory runs out.

        Args:
            examples: the batch.
            trials: pass parts of it where it is not known yet how many fit, and clear up after an attempt.
            work: is told how many pass at once.

        Raises:
            TrainerError: not even one fits.
            RuntimeError: as `work`; also where memory has run out with one example at a time.
        """
        while True:
            most = self.ready(examples, trials)
            try:
                return work(most)
            except RuntimeError as error:
                if not (room.is_out_of_memory(error) and self.lower(size(examples))):
                    raise
            # Only here does nothing hold the tensors of the attempt any more: the error did.
            trials.forget()
            give_back_cache(self._device)

    def ready(
        self,
        examples: Batch,
        trials: Trials,
        agree: Callable[[int], int] = int,
        count: int | None = None,
    ) -> int:
        """Return how many examples pass at once; before the first batch does, find out.

        Args:
            examples: the batch.
            trials: pass parts of it.
            agree: makes one number of what several ranks have found.
            count: examples of the largest of these ranks' batches; None where this is the only one.

        Raises:
            TrainerError: not even one fits.
        """
        count = count or size(examples)
        if self.most is None:
            found = self.find(examples, trials)
            # A rank whose batch is smaller by one would else have the others halve theirs.
            return self.settle(agree(WHOLE if found == size(examples) else found), count, "found")
        if self._unsaid:
            return self.settle(self.most, count, "remembered")
        return self.most

    def find(self, examples: Batch, trials: Trials) -> int:
        """Return how many of these pass at once beside what is there already.

        Raises:
            TrainerError: not even one does.
        """
        most = min(size(examples), self._cap or size(examples))
        if most == 1:
            return 1
        random = [self._device] if self._device.type == "cuda" else []
        try:
            with torch.random.fork_rng(devices=random, device_type="cuda"):
                return self._find(most, lambda count: trials.gradient(cut(examples, 0, count)))
        finally:
            trials.forget()
            give_back_cache(self._device)

    def _find(self, most: int, work: room.Pass) -> int:
        device = self._device
        spare = self._spare + round(room.MARGIN * min(room.total(device) or 0, self._allowed))
        if device.type == "cuda":
            with room.spared(device, spare):
                found = largest(lambda count: room.fits(device, count, work), most)
            if found:
                return found
        # What the first pass makes, all later ones find there already.
        if not room.fits(device, 1, work):
            raise TrainerError(
                f"Not even one example fits into the memory of {device}",
                "Take another --device, or end what else uses its memory",
            )
        if device.type == "cuda":
            return 1
        now, free = room.in_use(device), room.free(device)
        left = min(math.inf if free is None else free, self._allowed - self._sharers * now)
        if left == math.inf:
            return most
        highest = now + round(left - spare) // self._sharers

        def height(count: int) -> int:
            # A system whose memory runs out ends this process without a word: the next is to know at what.
            self._notes.write(count, trying=True)
            return room.height(device, count, work)

        return reckon(height, now, most, highest)

    def settle(self, most: int, count: int, how: How) -> int:
        """Take at most so many examples of `count` in one pass from now on, remember it, and say so."""
        self.most, self._unsaid = largest_portion(count, most), False
        if how != "remembered":
            self._notes.write(self.most)
        self._tell(Fitted(micro_batch=self.most, batch=count, how=how))
        return self.most

    def lower(self, count: int) -> bool:
        """Take half as many of `count` in one pass from now on; return False where it is one already."""
        now = largest_portion(count, self.most or count)
        if now == 1:
            return False
        self.settle((now + 1) // 2, count, "lowered")
        return True

    @contextmanager
    def heeding(self, count: int) -> Iterator[None]:
        """Where memory runs out beside the passes, or for a pass that is not made again, lower it and fail.

        The next start then leaves more room. `count` is as for `lower`.
        """
        try:
            yield
        except RuntimeError as error:
            if room.is_out_of_memory(error):
                self.lower(count)
            raise
