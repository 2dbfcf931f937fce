"""Who lines up with whom: the decisions of one peer, without any I/O.

Pairing is symmetric by construction. A peer is in one exchange at a time. If two peers offer to each
other at once, the offer of the smaller PeerID stands: the other is told so, and accepts. A peer whose
offer to a third is under way answers busy for a moment, so no circle of waiting peers can close.
"""

import secrets
from collections import deque
from dataclasses import dataclass, field

import trio

from protocol.messages import Accepted, Busy, ObjectRef, Offer, Refused

MOMENT = 0.1
"""Seconds after which to ask again a peer whose own offer is under way: about a round trip."""

LONGEST_BUSY = 30.0
"""Most seconds that we send a partner away for: our own estimate may be wrong."""


@dataclass(frozen=True, slots=True)
class OwnShare:
    """What this peer shares at present, as the trainer announced it."""

    share: int
    outer_step: int
    ref: ObjectRef
    codec: str
    fresh: bool
    """Made at a boundary, rather than refreshed by a mix."""
    final: bool = False
    """Made at the trainer's last boundary."""


@dataclass(slots=True)
class Engagement:
    """One exchange that both sides have agreed to."""

    exchange: bytes
    partner: str
    initiated: bool
    mine: OwnShare
    theirs: ObjectRef
    their_codec: str
    their_outer_step: int
    pulled: trio.Event = field(default_factory=trio.Event)
    """Set once our pull has ended, well or not."""
    holds: bool = False
    """Our pull ended well."""
    settled: trio.Event = field(default_factory=trio.Event)
    """Set once the initiator has said that both hold everything."""
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    """Around the transfer, so that a partner that gives up can end it."""


class Pairing:
    """The state of one fragment's pairing."""

    def __init__(self, own_id: str, *, decodes: tuple[str, ...]) -> None:
        self._own_id = own_id
        self._decodes = decodes
        self._share: OwnShare | None = None
        self._offering_to: str | None = None
        self._offered: OwnShare | None = None
        self._changed = trio.Event()
        self.engagement: Engagement | None = None
        self._mixed: deque[int] = deque(maxlen=64)
        self.next_boundary = 1.0
        """Seconds to our next outer step, for the answer `Busy`."""
        self.largest_share = 0
        """Most bytes that a share can have; told by the daemon once the model's size is known."""

    @property
    def share(self) -> OwnShare | None:
        """What we share, or None while there is nothing to share or it has been spent."""
        return self._share

    def new_share(self, share: OwnShare) -> None:
        """Share this from now on."""
        self._share = share
        self._notify()

    def withdraw(self) -> None:
        """Share nothing: the last share has had its time."""
        self._share = None
        self._notify()

    def forget(self) -> None:
        """Share nothing, and forget what was mixed: the trainer is gone, and will repeat its outer steps."""
        self._mixed.clear()
        self.withdraw()

    def wants_partner(self, share: OwnShare) -> bool:
        """Whether `share` still waits for the exchange of its outer step."""
        return self._share is share and share.fresh

    def has_mixed(self, outer_step: int) -> bool:
        """Whether one of our last outer steps had an exchange."""
        return outer_step in self._mixed

    def begin_offer(self, partner: str) -> Offer:
        """Make an offer of our present share to `partner`. `end_offer` must follow."""
        if self._share is None or self.engagement or self._offering_to:
            raise RuntimeError("nothing to offer, or another exchange is under way")
        self._offering_to, self._offered = partner, self._share
        return Offer(
            exchange=secrets.token_bytes(16),
            fragment=0,
            outer_step=self._share.outer_step,
            share=self._share.ref,
            codec=self._share.codec,
            decodes=self._decodes,
        )

    def end_offer(self, offer: Offer, answer: Accepted | None) -> Engagement | str | None:
        """Take the answer to our offer, None where there was no acceptance.

        Returns:
            The engagement, a reason why the acceptance is no good, or None.
        """
        partner, self._offering_to = self._offering_to, None
        # What was offered counts, though a newer share may have come meanwhile: the partner has agreed.
        mine, self._offered = self._offered, None
        if answer is None or partner is None or mine is None:
            return None
        if self.engagement is not None:
            return "another exchange began meanwhile"
        if (reason := self._unfit(answer.share, answer.codec)) is not None:
            return reason
        return self._engage(partner, offer.exchange, mine, answer, initiated=True)

    def answer(self, caller: str, offer: Offer) -> tuple[Accepted | Busy | Refused, Engagement | None]:
        """Answer an offer; with `Accepted` comes the engagement to run."""
        if (reason := self._unfit(offer.share, offer.codec)) is not None:
            return Refused(reason=reason), None
        if self.engagement is not None:
            return Busy(seconds=MOMENT), None
        if self._offering_to == caller and self._own_id < caller:
            return Busy(seconds=MOMENT, crossed=True), None
        if self._offering_to not in (None, caller):
            return Busy(seconds=MOMENT), None
        mine = self._share
        if mine is None:
            return Busy(seconds=min(max(self.next_boundary, MOMENT), LONGEST_BUSY)), None
        if mine.codec not in offer.decodes:
            return Refused(reason=f"my share is in {mine.codec}, which you do not decode"), None
        accepted = Accepted(outer_step=mine.outer_step, share=mine.ref, codec=mine.codec)
        theirs = Accepted(outer_step=offer.outer_step, share=offer.share, codec=offer.codec)
        return accepted, self._engage(caller, offer.exchange, mine, theirs, initiated=False)

    def disengage(self, engagement: Engagement, *, mixed: bool) -> None:
        """End an exchange. One that mixed spends the share; one that failed leaves it as it was."""
        if self.engagement is not engagement:
            return
        self.engagement = None
        if mixed:
            if self._share is engagement.mine:
                self._share = None
            self._mixed.append(engagement.mine.outer_step)
        self._notify()

    async def wait_change(self) -> None:
        """Wait until the share or the engagement changes."""
        await self._changed.wait()

    def _engage(
        self, partner: str, exchange: bytes, mine: OwnShare, theirs: Accepted, *, initiated: bool
    ) -> Engagement:
        self.engagement = Engagement(
            exchange=exchange,
            partner=partner,
            initiated=initiated,
            mine=mine,
            theirs=theirs.share,
            their_codec=theirs.codec,
            their_outer_step=theirs.outer_step,
        )
        self._notify()
        return self.engagement

    def _unfit(self, share: ObjectRef, codec: str) -> str | None:
        if codec not in self._decodes:
            return f"your share is in {codec}; this run decodes {', '.join(self._decodes)}"
        mine = self._share
        if mine is not None and codec == mine.codec and share.size != mine.ref.size:
            return f"your share has {share.size} bytes, shares of this run have {mine.ref.size}"
        if share.size > self.largest_share:
            return f"your share has {share.size} bytes, at most {self.largest_share} make sense here"
        return None

    def _notify(self) -> None:
        event, self._changed = self._changed, trio.Event()
        event.set()
