"""Who lines up with whom: the decisions of one peer, without any I/O.

Pairing is symmetric by construction. A peer is in one exchange at a time, of whichever fragment. If two peers
offer to each other at once, the offer of the smaller PeerID stands: the other is told so, and accepts. A peer
whose offer to a third is under way answers busy for a moment, so no circle of waiting peers can close.
"""

import secrets
import statistics
from collections import defaultdict, deque
from dataclasses import dataclass
from itertools import pairwise

import trio

from peer.swarm.engagement import Engagement, OwnShare
from peer.swarm.share_sizes import ShareSizes
from protocol.messages import Accepted, Busy, ObjectRef, Offer, Refused

MOMENT = 0.1
"""Seconds after which to ask again a peer whose own offer is under way: about a round trip."""

LONGEST_BUSY = 30.0
"""Most seconds that we send a partner away for: our own estimate may be wrong."""

KEPT = 2
"""Shares of a fragment that the trainer keeps open: the newest, and the one before it whose mix is late."""

NO_LONGER_KEPT = "our share is no longer kept"


@dataclass(frozen=True, slots=True)
class _Offering:
    """An offer of ours that is under way."""

    partner: str
    offer: Offer
    mine: OwnShare


class Pairing:
    """What a peer shares, fragment by fragment, and with whom it is engaged.

    Args:
        own_id: our PeerID, which settles offers that cross.
        decodes: codecs that we can decode and the run allows.
        on_demand: codecs in which a share is written for its receiver when it asks.
        sizes: what the bytes of a share may be.
        seeks: mixes of an outer step that are sought.
    """

    def __init__(
        self,
        own_id: str,
        *,
        decodes: tuple[str, ...],
        on_demand: tuple[str, ...],
        sizes: ShareSizes,
        seeks: int = 1,
    ) -> None:
        self._own_id = own_id
        self._decodes = decodes
        self._on_demand = on_demand
        self._sizes = sizes
        self._seeks = seeks
        self._shares: dict[int, OwnShare] = {}
        self._kept: defaultdict[int, deque[int]] = defaultdict(lambda: deque(maxlen=KEPT))
        self._waiting: list[OwnShare] = []
        self._mixed: deque[OwnShare] = deque(maxlen=64)
        self._partners: dict[int, tuple[int, set[str]]] = {}
        self._missed: defaultdict[int, int] = defaultdict(int)
        self._offering: _Offering | None = None
        self._changed = trio.Event()
        self._boundaries: deque[float] = deque(maxlen=9)
        self.engagement: Engagement | None = None
        self.resting = ""
        """Why nothing is shared until `wake`; empty where it is."""
        self.next_boundary = 1.0

    @property
    def next_boundary(self) -> float:
        """Seconds to our next outer step, for the answer `Busy`, at the pace that the trainer told last."""
        return max(self._boundary_at - trio.current_time(), 0.0)

    @next_boundary.setter
    def next_boundary(self, seconds: float) -> None:
        self._boundary_at = trio.current_time() + seconds

    # ---- what we share

    def share(self, fragment: int = 0) -> OwnShare | None:
        """Return what we share of a fragment, or None while there is nothing or it has been spent."""
        return self._shares.get(fragment)

    def new_share(self, share: OwnShare) -> None:
        """Share this from now on, and the share of its fragment before it no more.

        An exchange whose share the trainer closes with this one is given up: the partner must not mix alone.
        """
        if not self.resting:
            self._shares[share.fragment] = share
        self._kept[share.fragment].append(share.share)
        if share.mixed < self._seeks:
            self._waiting.append(share)
        if share.fresh:
            self._boundaries.append(trio.current_time())
        if self.engagement is not None and not self._is_kept(self.engagement.mine):
            self.engagement.give_up("void", NO_LONGER_KEPT)
        self._notify()

    def withdraw(self) -> None:
        """Share nothing: the shares have had their time."""
        self._shares.clear()
        self._notify()

    def rest(self, why: str) -> None:
        """Share nothing until `wake`: what we have grows old as we make no inner steps, or is old.

        An exchange that is agreed on goes on to its end. The others are sent to somebody else, and what waits
        for a partner goes without.
        """
        self.resting = why
        self.withdraw()

    def wake(self) -> None:
        """Share again, from the next boundary on."""
        self.resting = ""

    async def wait_idle(self) -> None:
        """Wait until no exchange is under way, and no offer that may become one."""
        while self.engagement is not None or self._offering is not None:
            await self.wait_change()

    def forget(self) -> None:
        """Share nothing, and forget what was mixed: the trainer is gone, and will repeat its outer steps."""
        self._kept.clear()
        self._waiting.clear()
        self._mixed.clear()
        self._boundaries.clear()
        if self.engagement is not None:
            self.engagement.give_up("void", "our trainer has ended")
        self.withdraw()

    @property
    def waiting(self) -> tuple[OwnShare, ...]:
        """Shares for which a mix is sought that have neither been mixed nor given up, oldest first."""
        return tuple(self._waiting)

    def wants_partner(self, share: OwnShare) -> bool:
        """Whether a waiting share is still the one that we share of its fragment."""
        return self._shares.get(share.fragment) is share and share in self._waiting

    def urgency(self, share: OwnShare) -> tuple[int, int]:
        """Return a key by which waiting shares are sought, the highest first.

        The newest first, for a late mix is worth less. But a fragment that missed its last mixes goes before
        the others, so that none starves where the link cannot carry them all.
        """
        return self._missed[share.fragment], self._waiting.index(share)

    def has_mixed(self, share: OwnShare) -> bool:
        """Whether a share was mixed, not long ago."""
        return share in self._mixed

    def met(self, share: OwnShare) -> set[str]:
        """Return the partners that a share's outer step was mixed with: with the last one it is equal."""
        outer_step, partners = self._partners.get(share.fragment, (0, set()))
        return set(partners) if outer_step == share.outer_step else set()

    def miss(self, share: OwnShare) -> None:
        """Give a waiting share up: its outer step goes without another mix."""
        self._waiting.remove(share)
        self._missed[share.fragment] += share.fresh
        if self._shares.get(share.fragment) is share:
            del self._shares[share.fragment]
        self._notify()

    @property
    def pace(self) -> float:
        """Seconds between two outer steps, of whichever fragments: the median of the last ones."""
        seen = [late - early for early, late in pairwise(self._boundaries)]
        return statistics.median(seen) if seen else self.next_boundary

    # ---- offers

    def begin_offer(self, partner: str, share: OwnShare) -> Offer:
        """Make an offer of `share`, which we share at present, to `partner`. `end_offer` must follow."""
        if self._shares.get(share.fragment) is not share or self.engagement or self._offering:
            raise RuntimeError("not what we share, or another exchange is under way")
        offer = Offer(
            exchange=secrets.token_bytes(16),
            fragment=share.fragment,
            outer_step=share.outer_step,
            tokens=share.tokens,
            standing=share.standing,
            share=share.ref,
            codec=share.codec,
            bounds=share.bounds,
            decodes=self._decodes,
        )
        self._offering = _Offering(partner, offer, share)
        return offer

    def is_offering(self, exchange: bytes) -> bool:
        """Whether our offer of this exchange is under way: the answer may be overtaken by what follows it."""
        return self._offering is not None and self._offering.offer.exchange == exchange

    def end_offer(self, answer: Accepted | None) -> Engagement | str | None:
        """Take the answer to our offer, None where there was no acceptance.

        Returns:
            The engagement, a reason why the acceptance is no good, or None.
        """
        offering, self._offering = self._offering, None
        self._notify()
        if answer is None or offering is None:
            return None
        if self.engagement is not None:
            return "another exchange began meanwhile"
        # What was offered counts, though a newer share may have come meanwhile: the partner has agreed.
        if not self._is_kept(offering.mine):
            return NO_LONGER_KEPT
        if (reason := self._unfit(offering.offer.fragment, answer)) is not None:
            return reason
        return self._engage(offering.partner, offering.offer, offering.mine, answer, initiated=True)

    def answer(self, caller: str, offer: Offer) -> tuple[Accepted | Busy | Refused, Engagement | None]:
        """Answer an offer; with `Accepted` comes the engagement to run."""
        if offer.fragment >= self._sizes.fragments:
            beyond = f"there is no fragment {offer.fragment}: this run has {self._sizes.fragments}"
            return Refused(reason=beyond), None
        if (reason := self._unfit(offer.fragment, offer)) is not None:
            return Refused(reason=reason), None
        if self.engagement is not None:
            return Busy(seconds=MOMENT), None
        if self._offering is not None and self._offering.partner != caller:
            return Busy(seconds=MOMENT), None
        if self._offering is not None and self._own_id < caller:
            return Busy(seconds=MOMENT, crossed=True), None
        mine = self._shares.get(offer.fragment)
        if mine is None:
            seconds = LONGEST_BUSY if self.resting else min(max(self.next_boundary, MOMENT), LONGEST_BUSY)
            return Busy(seconds=seconds), None
        if mine.ref is not None and mine.codec not in offer.decodes:
            return Refused(reason=f"my share is in {mine.codec}, which you do not decode"), None
        accepted = Accepted(
            outer_step=mine.outer_step,
            tokens=mine.tokens,
            standing=mine.standing,
            share=mine.ref,
            codec=mine.codec,
            bounds=mine.bounds,
        )
        return accepted, self._engage(caller, offer, mine, offer, initiated=False)

    def disengage(self, engagement: Engagement, *, mixed: bool) -> None:
        """End an exchange. One that mixed spends the share; one that failed leaves it as it was."""
        if self.engagement is not engagement:
            return
        self.engagement = None
        mine = engagement.mine
        if mixed:
            if self._shares.get(mine.fragment) is mine:
                del self._shares[mine.fragment]
            if mine in self._waiting:
                self._waiting.remove(mine)
            self._missed[mine.fragment] = 0
            self._mixed.append(mine)
            self._partners[mine.fragment] = (mine.outer_step, {*self.met(mine), engagement.partner})
        self._notify()

    async def wait_change(self) -> None:
        """Wait until a share, an offer of ours or the engagement changes."""
        await self._changed.wait()

    def _engage(
        self, partner: str, offer: Offer, mine: OwnShare, theirs: Offer | Accepted, *, initiated: bool
    ) -> Engagement:
        self.engagement = Engagement(
            exchange=offer.exchange,
            partner=partner,
            initiated=initiated,
            mine=mine,
            theirs=theirs,
            # Who accepts says nothing of what it decodes: that both allow what the run does is its contract.
            decodes=self._decodes if initiated else offer.decodes,
        )
        self._notify()
        return self.engagement

    def _is_kept(self, share: OwnShare) -> bool:
        return share.share in self._kept[share.fragment]

    def _unfit(self, fragment: int, theirs: Offer | Accepted) -> str | None:
        """Return why what a partner announces is of no use to us, before a byte of it comes."""
        largest = self._sizes.bounds(fragment)
        if theirs.bounds is not None and theirs.bounds.size > largest:
            return f"your bounds have {theirs.bounds.size} bytes, at most {largest} make sense here"
        if theirs.share is None:
            if theirs.codec in self._on_demand:
                return None
            return f"your share is in {theirs.codec}, which is not written on demand in this run"
        return self._unfit_body(fragment, theirs.codec, theirs.share)

    def _unfit_body(self, fragment: int, codec: str, share: ObjectRef) -> str | None:
        if codec not in self._decodes:
            return f"your share is in {codec}; this run decodes {', '.join(self._decodes)}"
        if codec in self._on_demand:
            return f"a share in {codec} is written for its receiver, and yours is for anybody"
        mine = self._shares.get(fragment)
        if mine is not None and mine.ref is not None and codec == mine.codec and share.size != mine.ref.size:
            return f"your share has {share.size} bytes, shares of this run have {mine.ref.size}"
        largest = self._sizes.body(fragment, codec)
        if share.size > largest:
            return f"your share has {share.size} bytes, at most {largest} make sense here"
        return None

    def _notify(self) -> None:
        event, self._changed = self._changed, trio.Event()
        event.set()
