"""Finds a partner for each fresh share: draws, offers, redraws, and skips when the time is up."""

from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

import trio

from peer.swarm.calls import RefusedError, ask
from peer.swarm.deadline import AdaptiveDeadline
from peer.swarm.engagement import Engagement, OwnShare
from peer.swarm.exchange import Exchanger, Outcome
from peer.swarm.learner import Learner, LearnerGoneError
from peer.swarm.pairing import MOMENT, Pairing
from peer.swarm.recent import Recent
from peer.swarm.transport import Contact, Transport, TransportError
from peer.swarm.view import View
from peer.swarm.waiting import first_of
from protocol.errors import ProtocolError
from protocol.messages import Abandon, Accepted, Busy, Noted, Offer

SkipObserver = Callable[[int, str], None]
"""Is told the outer step that was skipped, and why."""


class Started(Protocol):
    """Is told that what was started is under way, by `trio.Nursery.start`."""

    def started(self) -> None:
        """Go on with what waits for it."""


@dataclass(frozen=True, slots=True)
class MatchStatistics:
    """Offers and skips since the start."""

    offers: int
    busy_answers: int
    skips: dict[str, int]
    patience: float
    partner: str | None
    """With whom an exchange is under way now."""


@dataclass(slots=True, eq=False)
class _Search:
    """The search for a partner of one share."""

    share: OwnShare
    began: float
    until: float
    """When it is given up; never where the next share of its fragment ends it."""
    holds_until: float
    """Until when it passes over those that we met last."""
    tried: set[str] = field(default_factory=set)
    reason: str = ""
    """Why the last attempt came to nothing; empty before the first."""


class Matchmaker:
    """Drives one peer's pairing: its own offers, and the exchanges of these and of others' offers."""

    def __init__(
        self,
        transport: Transport,
        run_id: bytes,
        view: View,
        pairing: Pairing,
        exchanger: Exchanger,
        learner: Learner,
        *,
        waits: bool,
        on_skip: SkipObserver,
    ) -> None:
        self._transport = transport
        self._run_id = run_id
        self._view = view
        self._pairing = pairing
        self._exchanger = exchanger
        self._learner = learner
        self._waits = waits
        self._on_skip = on_skip
        self._rng = view.rng
        self._recent = Recent()
        # For trainers that wait (the strict form, and everybody's last share): the time to find a partner.
        self._patience = AdaptiveDeadline(first=10.0, floor=2.0, ceiling=120.0)
        # Dialling and three round trips: 5 s for the first, which knows no link yet.
        self._answering = AdaptiveDeadline(first=5.0, floor=3.0, ceiling=10.0)
        self._offers = self._busy_answers = 0
        self._skips: Counter[str] = Counter()
        self._searches: list[_Search] = []
        self._nursery: trio.Nursery | None = None

    async def run(self, *, task_status: Started = trio.TASK_STATUS_IGNORED) -> None:
        """Seek partners until cancelled. Once it has started, exchanges can be run."""
        async with trio.open_nursery() as self._nursery:
            task_status.started()
            while True:
                await self._take_stock()
                drawn = None if self._pairing.engagement is not None else self._draw()
                if drawn is None:
                    await self._wait_for_chance()
                else:
                    await self._offer_to(*drawn)

    # ---- searches

    async def _take_stock(self) -> None:
        """Begin a search for each new share, and end those that are settled."""
        while True:
            self._begin_searches()
            ended = next((search for search in self._searches if self._has_ended(search)), None)
            if ended is None:
                return
            self._searches.remove(ended)
            await self._conclude(ended)

    def _begin_searches(self) -> None:
        known = [search.share for search in self._searches]
        now = trio.current_time()
        for share in self._pairing.waiting:
            if share not in known:
                limited = self._waits or share.final
                until = now + self._patience.seconds if limited else float("inf")
                # Of random length, or peers of equal pace would pass one another over in step as well. Mixes
                # land little later for it: of those who hold out, most are soon found by somebody else.
                hold = 0.0 if limited else self._pairing.pace * self._rng.random()
                met = self._pairing.met(share)
                self._searches.append(_Search(share, now, until, now + hold, tried=met))

    def _has_ended(self, search: _Search) -> bool:
        share, engagement = search.share, self._pairing.engagement
        if engagement is not None and engagement.mine is share:
            # An exchange that has begun outlives the clock of the search: it has its own deadline.
            return False
        return not self._pairing.wants_partner(share) or trio.current_time() >= search.until

    async def _conclude(self, search: _Search) -> None:
        share = search.share
        if self._pairing.has_mixed(share):
            self._patience.observe(trio.current_time() - search.began)
            return
        if share.fresh:
            self._skips[search.reason.partition(":")[0] or self._why_never_tried] += 1
            self._on_skip(share.outer_step, search.reason or self._why_never_tried)
        if share not in self._pairing.waiting:
            return  # of a trainer that is gone
        self._pairing.miss(share)
        with suppress(LearnerGoneError):
            await self._learner.no_mix(share.share)

    @property
    def _why_never_tried(self) -> str:
        if self._pairing.resting:
            return self._pairing.resting
        return "overtaken by the next outer step" if self._view.live() else "nobody else is here"

    def _draw(self) -> tuple[_Search, Contact] | None:
        """Return the most urgent search for which somebody is free, and whom."""
        wanted = [search for search in self._searches if self._pairing.wants_partner(search.share)]
        for search in sorted(wanted, key=lambda each: self._pairing.urgency(each.share), reverse=True):
            contact = self._view.draw(excluding=self._passed_over(search))
            if contact is not None:
                return search, contact
        return None

    def _passed_over(self, search: _Search) -> set[str]:
        """Return whom a search does not draw now.

        Peers of equal pace reach their boundaries in the same order for ever. Where a share is spent by its
        first mix, each would meet whoever comes before it, again and again, and the swarm would fall apart
        into pairs. So for a while those that we met last are left to others, if we may meet others in it.
        """
        now = trio.current_time()
        if now >= search.holds_until:
            return search.tried
        passed_over = search.tried | self._recent.of(len(self._view.live()))
        free = self._view.next_free(excluding=passed_over)
        in_time = free is not None and free - now <= self._pairing.pace / 2
        return passed_over if in_time else search.tried

    async def _wait_for_chance(self) -> None:
        """Wait until somebody comes, or somebody busy should be free, or our own state changes."""
        now = trio.current_time()
        times = [search.until - now for search in self._searches if search.until > now]
        if self._pairing.engagement is None:
            for search in self._searches:
                if search.holds_until > now:
                    times.append(search.holds_until - now)
                free = self._view.next_free(excluding=self._passed_over(search))
                times.append(1.0 if free is None else max(free - now, MOMENT))
        with trio.move_on_after(min(times, default=float("inf"))):
            await first_of(self._view.wait_change, self._pairing.wait_change)

    # ---- our own offers

    async def _offer_to(self, search: _Search, contact: Contact) -> None:
        """Make one offer, and start the exchange that may come of it."""
        offer = self._pairing.begin_offer(contact.peer_id, search.share)
        self._offers += 1
        answer: Accepted | None = None
        try:
            answer = await self._hear(search, contact, offer)
        finally:
            engagement = self._pairing.end_offer(answer)
        if isinstance(engagement, Engagement):
            # If it fails, another partner is drawn for this share: one bad peer costs no more than that.
            search.tried.add(contact.peer_id)
            search.reason = "the exchange failed"
            self.start(engagement, contact)
            return
        if engagement is not None:
            # What stands before the colon becomes a metric's label: a closed set, whatever a stranger sends.
            search.reason = f"unusable: {engagement}"
            self._abandon(contact, offer.exchange)
        # A pause of random length, so that peers in step with one another do not meet the same way again.
        await self._pause(MOMENT * self._rng.random())

    async def _hear(self, search: _Search, contact: Contact, offer: Offer) -> Accepted | None:
        """Return the partner's acceptance; else note in `search` why there is none."""
        began = trio.current_time()
        allowed = began + self._answering.seconds
        answer: Accepted | Busy | None = None
        with trio.CancelScope(deadline=min(allowed, search.until)):
            try:
                answer = await ask(self._transport, contact, self._run_id, offer, Accepted, Busy)
            except RefusedError as error:
                search.reason = f"refused: {error}"
                search.tried.add(contact.peer_id)
                return None
            except (TransportError, ProtocolError) as error:
                self._lost(search, contact, offer, str(error))
                return None
        if answer is None and search.until < allowed:
            # No fault of the partner's, which may have accepted all the same.
            search.reason = "out of time"
            self._abandon(contact, offer.exchange)
        elif answer is None:
            self._lost(search, contact, offer, f"no answer in {self._answering.seconds:.1f} s")
        else:
            self._answering.observe(trio.current_time() - began)
            self._view.answered(contact.peer_id)
        if isinstance(answer, Busy):
            search.reason = "everybody is busy"
            self._busy_answers += 1
            self._view.busy(contact.peer_id, answer.seconds * (0.5 + self._rng.random()))
            return None
        return answer

    def _lost(self, search: _Search, contact: Contact, offer: Offer, why: str) -> None:
        search.reason = f"unreachable: {why}"
        search.tried.add(contact.peer_id)
        self._view.missed(contact.peer_id)
        # The offer may have been accepted all the same.
        self._abandon(contact, offer.exchange)

    async def _pause(self, seconds: float) -> None:
        with trio.move_on_after(seconds):
            await self._pairing.wait_change()

    # ---- exchanges

    def start(self, engagement: Engagement, contact: Contact) -> None:
        """Run the exchange that was agreed on, beside everything else."""
        # In the nursery, so that the clock of a search never tears down an exchange that has begun.
        self._background(self._run, engagement, contact)

    async def _run(self, engagement: Engagement, contact: Contact) -> None:
        outcome: Outcome | None = None
        try:
            outcome = await self._exchanger.run(engagement, contact)
        finally:
            result = outcome.result if outcome is not None else "void"
            if result != "void":  # a fault of our own is no reason to avoid the partner
                self._view.exchanged(engagement.partner, well=result == "done")
            if result == "done":
                self._recent.met(engagement.partner)
            self._pairing.disengage(engagement, mixed=result == "done")
        if not engagement.agreed:
            self._abandon(contact, engagement.exchange)

    def _abandon(self, contact: Contact, exchange: bytes) -> None:
        """Tell the partner not to wait for us; whether it hears makes no difference."""
        self._background(self._say_abandon, contact, exchange)

    async def _say_abandon(self, contact: Contact, exchange: bytes) -> None:
        with suppress(TransportError, ProtocolError, RefusedError):
            await ask(self._transport, contact, self._run_id, Abandon(exchange=exchange), Noted)

    def _background(self, work: Callable[..., Awaitable[None]], *arguments: object) -> None:
        if self._nursery is not None:
            self._nursery.start_soon(work, *arguments)

    def statistics(self) -> MatchStatistics:
        """Counters since the start."""
        engagement = self._pairing.engagement
        return MatchStatistics(
            offers=self._offers,
            busy_answers=self._busy_answers,
            skips=dict(self._skips),
            patience=self._patience.seconds,
            partner=engagement.partner if engagement else None,
        )
