"""A share that may still be mixed, and the refusal of what cannot be mixed with it."""

from dataclasses import dataclass

from torch import Tensor

from peer.codec.bounds import Bounds
from peer.codec.formats import FORMATS
from peer.outer.ranges import Ranges
from peer.outer.step import OuterState, Shared
from peer.trainer.replica import Boundary

PER_RECEIVER = ("modulo", "auto")
"""Codecs with which a share is encoded for each partner when it asks."""

PLAIN = tuple(name for name, known in FORMATS.items() if known.reference == "none")
"""Codecs that need nothing in common: for a first exchange, and where one that is asked for cannot serve."""


class RefusalError(Exception):
    """Why something that was asked was not done, and whether that is our own fault."""

    def __init__(self, reason: str, *, ours: bool = False) -> None:
        super().__init__(reason)
        self.ours = ours


@dataclass(slots=True)
class Split:
    """A share as a group takes it.

    Attributes:
        codec: how the parts are written.
        ranges: the parts of the fragment, of nearly equal length.
        mine: what is averaged, exactly: (θ,) where all began alike, else (φ, m) after the step.
        base: φ before the step, where all have it in common and send the difference to it; else None.
        residual: what remains to be sent at the next outer step once this one's mix has landed; None
            without error feedback.
    """

    codec: str
    ranges: Ranges
    mine: Shared
    base: Tensor | None
    residual: Tensor | None = None

    @property
    def average_codec(self) -> str:
        """How averages are written: once more with the same loss, or with less where that is large."""
        return self.codec if self.codec in PLAIN else "int8"


@dataclass(slots=True)
class OpenShare:
    """A share whose mix may still come.

    Attributes:
        fragment: index of the fragment that it is of.
        where: the fragment's place in the flat weights; None for the whole.
        values: as partners decode them where all get the same bytes, else exactly.
        inner_step: at its boundary.
        outer_step: that made it.
        tokens: that were trained for it.
        standing: what it counts for beside them: 0 where we have just come, up to `MAX_STANDING`.
        mixes_left: how many more mixes this outer step may take part in, this one included.
        before: slow weights and momentum before the step; None where pairs mix.
        theta: fast weights that the step was taken with; None where pairs mix.
        bounds: those that partners were sent with it, one a tensor; None before the first exchange.
        sent: the values as the partner that asked last decodes them; None where they are `values`.
        came: what was decoded of a partner's share; None before.
        bits: of a value of `came`, of each tensor; None where it was not coded against our bounds.
        failed: numbers of the blocks of `came`, of each tensor, that are not right yet.
        split: how it was split last, for a group.
    """

    fragment: int
    where: Ranges | None
    values: Shared
    inner_step: int
    outer_step: int
    tokens: int
    standing: int
    mixes_left: int
    before: OuterState | None = None
    theta: Tensor | None = None
    bounds: tuple[Bounds, ...] | None = None
    sent: Shared | None = None
    came: Shared | None = None
    bits: tuple[int, ...] | None = None
    failed: tuple[Tensor, ...] = ()
    split: Split | None = None

    @classmethod
    def of(cls, boundary: Boundary, mixes: int) -> "OpenShare":
        """Return the share that a boundary makes."""
        return cls(
            fragment=boundary.fragment.index,
            where=boundary.where,
            values=boundary.shared,
            inner_step=boundary.inner_step,
            outer_step=boundary.outer_step,
            tokens=boundary.tokens,
            standing=boundary.standing,
            mixes_left=mixes,
            before=boundary.before,
            theta=boundary.theta,
        )

    def refreshed(self, tokens: int, standing: int) -> "OpenShare":
        """Return the share that a mix with this one leaves; its values have moved already.

        Args:
            tokens: what the partner trained. Both leave with the mean, so that the sum over the swarm of
                tokens times weights stays what it was.
            standing: the partner's; likewise.
        """
        return OpenShare(
            fragment=self.fragment,
            where=self.where,
            values=self.values,
            inner_step=self.inner_step,
            outer_step=self.outer_step,
            tokens=(self.tokens + tokens) // 2,
            standing=(self.standing + standing) // 2,
            mixes_left=self.mixes_left - 1,
        )
