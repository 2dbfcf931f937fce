"""The answers to what partners ask: offers, and the calls of an exchange that is under way."""

from collections import deque
from collections.abc import Callable

from peer.swarm.engagement import Engagement
from peer.swarm.pairing import Pairing
from peer.swarm.service import Reply, Service
from peer.swarm.transport import Contact
from peer.swarm.view import View
from peer.swarm.writer import Writer
from protocol.messages import (
    Abandon,
    AskAgain,
    AskBody,
    Busy,
    Confirm,
    Confirmed,
    Noted,
    Offer,
    Refused,
    Settle,
)

NONE_SUCH = Refused(reason="no such exchange is under way")


class PartnerCalls:
    """Serves the calls of partners. `start` runs the exchange of an offer that was accepted."""

    def __init__(
        self, view: View, pairing: Pairing, writer: Writer, start: Callable[[Engagement, Contact], None]
    ) -> None:
        self._view = view
        self._pairing = pairing
        self._writer = writer
        self._start = start
        self._settled: deque[tuple[str, bytes]] = deque(maxlen=16)

    def register(self, service: Service) -> None:
        """Answer these calls from now on."""
        service.serve(Offer, self._serve_offer)
        service.serve(AskBody, self._serve_body)
        service.serve(AskAgain, self._serve_again)
        service.serve(Confirm, self._serve_confirm)
        service.serve(Settle, self._serve_settle)
        service.serve(Abandon, self._serve_abandon)

    async def _serve_offer(self, caller: str, offer: Offer) -> Reply:
        contact = self._view.contact(caller)
        if contact is None:
            # Without its record we could not pull from it; its next sign of life brings one.
            return Busy(seconds=1.0)
        self._view.answered(caller)
        if pause := self._view.avoided(caller):
            return Busy(seconds=pause)
        answer, engagement = self._pairing.answer(caller, offer)
        if engagement is not None:
            self._start(engagement, contact)
        return answer

    async def _serve_body(self, caller: str, call: AskBody) -> Reply:
        # The partner may ask before its acceptance of our offer is here: on another stream.
        while self._pairing.is_offering(call.exchange):
            await self._pairing.wait_change()
        engagement = self._engagement(caller, call.exchange)
        if engagement is None or engagement.mine.ref is not None:
            return NONE_SUCH
        return await self._writer.serve_body(engagement)

    async def _serve_again(self, caller: str, call: AskAgain) -> Reply:
        engagement, contact = self._engagement(caller, call.exchange), self._view.contact(caller)
        if engagement is None or contact is None:
            return NONE_SUCH
        return await self._writer.serve_again(engagement, contact, call)

    async def _serve_confirm(self, caller: str, call: Confirm) -> Reply:
        """Answer once our own receiving has ended."""
        engagement = self._engagement(caller, call.exchange)
        if engagement is None:
            return NONE_SUCH
        await engagement.received.wait()
        still = self._pairing.engagement is engagement and not engagement.scope.cancel_called
        return Confirmed(both=engagement.holds and still)

    async def _serve_settle(self, caller: str, call: Settle) -> Reply:
        """Answer that we mix, as the initiator does. It may ask again where it has not heard the answer."""
        if (caller, call.exchange) in self._settled:
            return Noted()
        engagement = self._engagement(caller, call.exchange)
        if engagement is None or engagement.initiated:
            return NONE_SUCH
        if engagement.scope.cancel_called or not engagement.holds:
            return Refused(reason="too late: I have given this exchange up")
        self._settled.append((caller, call.exchange))
        engagement.agree()
        engagement.settled.set()
        return Noted()

    async def _serve_abandon(self, caller: str, call: Abandon) -> Reply:
        """Do not wait for a partner that has given up."""
        engagement = self._engagement(caller, call.exchange)
        if engagement is not None:
            engagement.give_up("failed", "the partner gave up")
        return Noted()

    def _engagement(self, caller: str, exchange: bytes) -> Engagement | None:
        engagement = self._pairing.engagement
        if engagement is None or (engagement.exchange, engagement.partner) != (exchange, caller):
            return None
        return engagement
