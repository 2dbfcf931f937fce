"""Loss and pace between two progress messages, read from the device only when one is due."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

PERIOD = 0.2
"""Seconds between two progress messages, at the least."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Means since the last reading.

    Attributes:
        loss: nats a token.
        seconds_per_step: wall-clock seconds from one inner step to the next, waiting included.
    """

    loss: float
    seconds_per_step: float


class Meter:
    """Adds up losses on `device`: asking for each would make the host wait for the device at every step."""

    def __init__(self, device: torch.device, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._sum = torch.zeros((), device=device)
        self._steps = 0
        self._since = clock()
        self.pace = math.inf
        """Seconds from one inner step to the next, at the last reading; infinite before the first."""

    def count(self, loss: Tensor) -> None:
        """Take in the loss of one inner step, a scalar on the device."""
        self._sum += loss
        self._steps += 1

    @property
    def due(self) -> bool:
        """Whether a message is due: a step was counted, and the period is over."""
        return self._steps > 0 and self._clock() - self._since >= PERIOD

    def read(self) -> Reading | None:
        """Return the means since the last reading and start anew; None if no step was counted."""
        if self._steps == 0:
            return None
        loss = float(self._sum) / self._steps
        now = self._clock()
        self.pace = (now - self._since) / self._steps
        self._sum.zero_()
        self._steps, self._since = 0, now
        return Reading(loss, self.pace)

    def restart(self) -> None:
        """Leave out the time since the last reading, in which no step was wanted."""
        self._since = self._clock()
