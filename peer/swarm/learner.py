"""What the swarm side needs of whoever trains: the trainer process, or a toy in tests and the simulator."""

from collections.abc import Sequence
from typing import Protocol

from protocol.trainer import Captured, Encoded, Member, Mixed, Opened, Parts, Reduced


class LearnerGoneError(Exception):
    """The trainer died before it answered. It is being restarted; the exchange counts as failed."""


class Learner(Protocol):
    """Takes what exchanges bring, files included. Each method may raise `LearnerGoneError`."""

    async def mix(self, share: int, file: str | None, codec: str, tokens: int, standing: int) -> Mixed:
        """Hand over a partner's share and wait until it is mixed or refused.

        Args:
            share: our share that it is mixed with.
            file: the partner's share, whole and hash-checked; None for what `open` has decoded.
            codec: how it is written.
            tokens: what the partner trained for it.
            standing: what else it counts by: less where the partner has just come.
        """

    async def no_mix(self, share: int) -> None:
        """Say that nothing will be mixed with `share`."""

    async def keep(self, share: int) -> None:
        """Say that the partner may mix with `share`, so that it must not be closed before `mix`.

        A peer is in one exchange at a time: the next call ends the promise.
        """

    async def capture(self) -> Captured:
        """Ask for slow weights, momentum and progress, for a newcomer; a full disk gives none."""

    # ---- an exchange in which each side encodes for the other

    async def encode(self, share: int, codec: str, bits: int, bounds: str | None) -> Encoded:
        """Ask for our share, written for a receiver with these bounds."""

    async def open(self, share: int, file: str, codec: str) -> Opened:
        """Hand over a partner's share, to be decoded beside ours and kept until `mix`."""

    async def encode_again(self, share: int, failed: str) -> Encoded:
        """Ask for the blocks that the receiver lists as failed, with more bits."""

    async def open_again(self, share: int, file: str) -> Opened:
        """Hand over the blocks that had failed."""

    # ---- a group of more than two

    async def split(self, share: int, parts: int, codec: str, *, together: bool) -> Parts:
        """Ask for our share in so many parts.

        Args:
            share: our share.
            parts: how many.
            codec: how to write them.
            together: whether all members began this outer step from the same slow weights and momentum, so
                that the fast weights alone are enough to end it so.
        """

    async def reduce(self, share: int, part: int, members: Sequence[Member]) -> Reduced:
        """Hand over one part from each member, and ask for their average."""

    async def assemble(self, share: int, parts: Sequence[str], weight: float) -> Mixed:
        """Hand over the averages of all parts and wait until they are mixed or refused."""
