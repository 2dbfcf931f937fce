"""Finds a partner for each fresh share: draws, offers, redraws, and skips when the time is up."""

from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

import trio

from peer.swarm.calls import RefusedError, ask
from peer.swarm.deadline import AdaptiveDeadline
from peer.swarm.exchange import Exchanger, Outcome
from peer.swarm.learner import Learner, LearnerGoneError
from peer.swarm.pairing import MOMENT, Engagement, OwnShare, Pairing
from peer.swarm.service import Reply
from peer.swarm.transport import Contact, Transport, TransportError
from peer.swarm.view import View
from protocol.errors import ProtocolError
from protocol.messages import (
    Abandon,
    Accepted,
    Busy,
    Confirm,
    Confirmed,
    Noted,
    Offer,
    Refused,
    Settle,
)

SkipObserver = Callable[[int, str], None]
"""Is told the outer step that was skipped, and why."""


@dataclass(frozen=True, slots=True)
class MatchStatistics:
    """Offers and skips since the start."""

    offers: int
    busy_answers: int
    skips: dict[str, int]
    patience: float
    partner: str | None
    """With whom an exchange is under way now."""


class Matchmaker:
    """Drives one peer's pairing: its own offers, the offers of others, and the exchanges of both."""

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
        # For trainers that wait (the strict form, and everybody's last share): the time to find a partner.
        self._patience = AdaptiveDeadline(first=10.0, floor=2.0, ceiling=120.0)
        # Dialling and three round trips: 5 s for the first, which knows no link yet.
        self._answering = AdaptiveDeadline(first=5.0, floor=3.0, ceiling=10.0)
        self._offers = self._busy_answers = 0
        self._skips: Counter[str] = Counter()
        self._nursery: trio.Nursery | None = None

    async def run(self) -> None:
        """Serve the pairing until cancelled."""
        async with trio.open_nursery() as self._nursery:
            sought: OwnShare | None = None
            while True:
                share = self._pairing.share
                if share is not None and share.fresh and share is not sought:
                    if sought is not None:
                        self._count_overtaken(sought.outer_step, share.outer_step)
                    sought = share
                    await self._seek(share)
                else:
                    await self._pairing.wait_change()

    def _count_overtaken(self, last: int, now: int) -> None:
        """Count the outer steps that came and went while a search before them hung on a silent peer."""
        for outer_step in range(last + 1, now):
            if not self._pairing.has_mixed(outer_step):
                self._count_skip(outer_step, "overtaken by the next outer step")

    # ---- our own offers

    async def _seek(self, share: OwnShare) -> None:
        """Find a partner for `share` until it is mixed, replaced, or out of time."""
        began = trio.current_time()
        limit = self._patience.seconds if self._waits or share.final else None
        reason = "nobody else is here"
        with trio.move_on_after(limit or float("inf")):
            reason = await self._seek_until_settled(share)
        # An exchange that has begun outlives the clock of the search: it has its own deadline.
        while self._pairing.engagement is not None:
            await self._pairing.wait_change()
        if self._pairing.has_mixed(share.outer_step):
            self._patience.observe(trio.current_time() - began)
        else:
            await self._skip(share, reason)

    async def _seek_until_settled(self, share: OwnShare) -> str:
        reason = "nobody else is here"
        tried: set[str] = set()
        while self._pairing.wants_partner(share) or self._engaged_on(share):
            if self._pairing.engagement is not None:
                await self._pairing.wait_change()
                continue
            contact = self._view.draw(excluding=tried)
            if contact is None:
                await self._wait_for_chance(tried)
                continue
            reason = await self._offer_to(contact, tried)
        return reason

    def _engaged_on(self, share: OwnShare) -> bool:
        engagement = self._pairing.engagement
        return engagement is not None and engagement.mine is share

    async def _offer_to(self, contact: Contact, tried: set[str]) -> str:
        """Make one offer and run the exchange that may come of it; return why there was none."""
        offer = self._pairing.begin_offer(contact.peer_id)
        self._offers += 1
        accepted: Accepted | None = None
        reason = ""
        began = trio.current_time()
        try:
            with trio.fail_after(self._answering.seconds):
                answer = await ask(self._transport, contact, self._run_id, offer, Accepted, Busy)
            self._answering.observe(trio.current_time() - began)
            self._view.answered(contact.peer_id)
            if isinstance(answer, Accepted):
                accepted = answer
            elif isinstance(answer, Busy):
                reason = "everybody is busy"
                self._note_busy(contact, answer)
        except RefusedError as error:
            reason = f"refused: {error}"
            tried.add(contact.peer_id)
        except (TransportError, ProtocolError, trio.TooSlowError) as error:
            reason = f"unreachable: {error}"
            self._view.missed(contact.peer_id)
            tried.add(contact.peer_id)
        finally:
            engagement = self._pairing.end_offer(offer, accepted)
        if isinstance(engagement, Engagement):
            # If it fails, another partner is drawn for this share: one bad peer costs no more than that.
            tried.add(contact.peer_id)
            self._start(engagement, contact)
            return "the exchange failed"
        if engagement or reason.startswith("unreachable"):
            # The offer may have been accepted all the same.
            self._background(self._abandon, contact, offer)
        # A pause of random length, so that peers in step with one another do not meet the same way again.
        await self._pause(MOMENT * self._rng.random())
        # What stands before the colon becomes a metric's label: a closed set, whatever a stranger sends.
        return f"unusable: {engagement}" if engagement else reason

    def _note_busy(self, contact: Contact, answer: Busy) -> None:
        self._busy_answers += 1
        self._view.busy(contact.peer_id, answer.seconds * (0.5 + self._rng.random()))

    async def _wait_for_chance(self, tried: set[str]) -> None:
        """Wait until somebody comes, or somebody busy should be free, or our own state changes."""
        until = self._view.next_free(excluding=tried)
        now = trio.current_time()
        wait = 1.0 if until is None else max(until - now, MOMENT)
        with trio.move_on_after(wait):
            await _first(self._view.wait_change, self._pairing.wait_change)

    async def _pause(self, seconds: float) -> None:
        with trio.move_on_after(seconds):
            await self._pairing.wait_change()

    async def _skip(self, share: OwnShare, reason: str) -> None:
        self._count_skip(share.outer_step, reason)
        if self._pairing.share is share:
            self._pairing.withdraw()
        try:
            await self._learner.no_mix(share.share)
        except LearnerGoneError:
            return

    def _count_skip(self, outer_step: int, reason: str) -> None:
        self._skips[reason.partition(":")[0]] += 1
        self._on_skip(outer_step, reason)

    # ---- the offers of others

    async def serve_offer(self, caller: str, offer: Offer) -> Reply:
        """Answer `Offer`."""
        contact = self._view.contact(caller)
        if contact is None or self._nursery is None:
            # Without its record we could not pull from it; its next sign of life brings one.
            return Busy(seconds=1.0)
        self._view.answered(caller)
        if pause := self._view.avoided(caller):
            return Busy(seconds=pause)
        answer, engagement = self._pairing.answer(caller, offer)
        if engagement is not None:
            self._start(engagement, contact)
        return answer

    async def serve_confirm(self, caller: str, call: Confirm) -> Reply:
        """Answer `Confirm`, once our own pull has ended."""
        engagement = self._pairing.engagement
        if engagement is None or (engagement.exchange, engagement.partner) != (call.exchange, caller):
            return Refused(reason="no such exchange is under way")
        await engagement.pulled.wait()
        return Confirmed(both=engagement.holds and self._pairing.engagement is engagement)

    async def serve_settle(self, caller: str, call: Settle) -> Reply:
        """Answer `Settle`: the initiator mixes, and so do we."""
        engagement = self._pairing.engagement
        if engagement is None or (engagement.exchange, engagement.partner) != (call.exchange, caller):
            return Refused(reason="no such exchange is under way")
        if engagement.scope.cancel_called or not engagement.holds:
            return Refused(reason="too late: I have given this exchange up")
        engagement.settled.set()
        return Noted()

    async def serve_abandon(self, caller: str, call: Abandon) -> Reply:
        """Answer `Abandon`: do not wait for an initiator that has given up."""
        engagement = self._pairing.engagement
        if engagement is not None and (engagement.exchange, engagement.partner) == (call.exchange, caller):
            engagement.scope.cancel()
        return Noted()

    async def _abandon(self, contact: Contact, offer: Offer) -> None:
        with suppress(TransportError, ProtocolError, RefusedError):
            await ask(self._transport, contact, self._run_id, Abandon(exchange=offer.exchange), Noted)

    def _start(self, engagement: Engagement, contact: Contact) -> None:
        # In the nursery, so that the clock of a search never tears down an exchange that has begun.
        self._background(self._run, engagement, contact)

    def _background(self, work: Callable[..., Awaitable[None]], *arguments: object) -> None:
        if self._nursery is not None:
            self._nursery.start_soon(work, *arguments)

    async def _run(self, engagement: Engagement, contact: Contact) -> None:
        outcome: Outcome | None = None
        try:
            outcome = await self._exchanger.run(engagement, contact)
        finally:
            result = outcome.result if outcome is not None else "void"
            if result != "void":  # a fault of our own is no reason to avoid the partner
                self._view.exchanged(engagement.partner, well=result == "done")
            self._pairing.disengage(engagement, mixed=result == "done")

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


async def _first(*waits: Callable[[], Awaitable[None]]) -> None:
    """Return when the first of several waits does."""
    async with trio.open_nursery() as nursery:

        async def wait(one: Callable[[], Awaitable[None]]) -> None:
            await one()
            nursery.cancel_scope.cancel()

        for one in waits:
            nursery.start_soon(wait, one)
