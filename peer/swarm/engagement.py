"""An exchange that two peers have agreed to: what each shares, and how far it has come."""

import math
from dataclasses import dataclass, field

import trio

from protocol.messages import Accepted, BodyIs, ObjectRef, Offer


@dataclass(frozen=True, slots=True)
class OwnShare:
    """What this peer shares of a fragment at present, as the trainer announced it.

    Attributes:
        share: the trainer's number for it.
        fragment: which fragment.
        outer_step: the outer step that made it.
        tokens: tokens trained for it.
        standing: what it counts for, 0 where we have just come.
        codec: in which it is sent.
        ref: what partners pull; None where it is written for each receiver when it asks.
        bounds: how far we expect a partner to be, for a partner that writes for us; None at first.
        reference: hash of what the outer step began from; None where pairs mix.
        mixed: mixes of its outer step that are in it; 0 as it was made at the boundary.
        final: made at the trainer's last boundary.
    """

    share: int
    fragment: int
    outer_step: int
    tokens: int
    standing: int
    codec: str
    ref: ObjectRef | None
    bounds: ObjectRef | None
    reference: bytes | None
    mixed: int = 0
    final: bool = False

    @property
    def fresh(self) -> bool:
        """Whether it was made at a boundary, rather than refreshed by a mix."""
        return not self.mixed


class EndedError(Exception):
    """Ends an exchange.

    Attributes:
        result: `refused`, `failed`, or `void` where the fault is our own.
        reason: why.
    """

    def __init__(self, result: str, reason: str) -> None:
        super().__init__(reason)
        self.result = result
        self.reason = reason


@dataclass(slots=True, eq=False)
class Engagement:
    """One exchange that both sides have agreed to."""

    exchange: bytes
    partner: str
    initiated: bool
    mine: OwnShare
    theirs: Offer | Accepted
    """What the partner said of its share."""
    decodes: tuple[str, ...]
    """Codecs that the partner decodes."""
    received: trio.Event = field(default_factory=trio.Event)
    """Set once our receiving has ended, well or not."""
    holds: bool = False
    """Our receiving ended well."""
    settled: trio.Event = field(default_factory=trio.Event)
    """Set once the initiator has said that both hold everything."""
    agreed: bool = False
    """Both sides mix: it is too late to give up."""
    written: trio.Event = field(default_factory=trio.Event)
    """Set once our share has been written for the partner, or will not be."""
    body: BodyIs | None = None
    """What was written for the partner."""
    asked_again: bool = False
    """The partner has asked for blocks that failed: it may once."""
    choice: str = ""
    """Why it is written in the codec that it is."""
    objects: list[ObjectRef] = field(default_factory=list)
    """What we serve for this exchange alone."""
    bytes_in: int = 0
    fault: EndedError | None = None
    """What ended the transfer from outside."""
    over: bool = False
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    """Around the transfer."""

    @property
    def bytes_out(self) -> int:
        """Bytes that the partner pulls of us, as far as is known now."""
        lasting = (self.mine.ref, self.mine.bounds if self.theirs.share is None else None)
        return sum(ref.size for ref in (*lasting, *self.objects) if ref is not None)

    @property
    def two_phase(self) -> bool:
        """Whether a side writes its share for the other."""
        return self.mine.ref is None or self.theirs.share is None

    def give_up(self, result: str, reason: str) -> None:
        """End the transfer with this result, unless both sides have agreed to mix."""
        if not self.agreed and self.fault is None:
            self.fault = EndedError(result, reason)
            self.scope.cancel()

    def agree(self) -> None:
        """Note that the other side may mix from now on: nothing ends the transfer any more."""
        self.agreed = True
        self.scope.deadline = math.inf
