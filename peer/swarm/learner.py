"""What the swarm side needs of whoever trains: the trainer process, or a toy in tests and the simulator."""

from typing import Protocol

from protocol.trainer import Captured, Mixed


class LearnerGoneError(Exception):
    """The trainer died before it answered. It is being restarted; the exchange counts as failed."""


class Learner(Protocol):
    """Takes what exchanges bring. Each method may raise `LearnerGoneError`."""

    async def mix(self, share: int, file: str, codec: str) -> Mixed:
        """Hand over a partner's share, whole and hash-checked, and wait until it is mixed or refused."""

    async def no_mix(self, share: int) -> None:
        """Say that nothing will be mixed with `share`."""

    async def capture(self) -> Captured:
        """Ask for slow weights, momentum and progress, for a newcomer."""
