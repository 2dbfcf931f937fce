"""Finding out how others reach us, announcing what works, and asking relays where nothing else does."""

from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Protocol

import trio

from peer.swarm.reservations import Reservations
from peer.swarm.standing import Standing, Verdict
from peer.swarm.transport import Contact, DialBack, Transport, TransportError, bare
from peer.swarm.view import View

ASKED = 3
"""Peers asked to dial us back in one round."""

SETTLED = 300.0
"""Seconds between two rounds once `ASKED` peers have answered: routers restart, and addresses change."""

UNSETTLED = 10.0
"""Seconds between two rounds before."""

DOUBTED = 60.0
"""Seconds between two rounds for the reason that somebody sees us at another address: it may be a liar.
Doubling while each round finds another contradiction: some routers show each peer another address."""

MOST_DOUBTED = 1800.0

ANSWER = 15.0
"""Seconds for a peer's answer: its attempt, and a slow line."""

MAPPED_AGAIN = 1200.0
"""Seconds between two requests to the router: what it grants lapses after an hour."""

MOST_PORTS = 3
MOST_ASKED = 256


class PortMapper(Protocol):
    """Asks the router to lead a port to us. See `peer.swarm.upnp`."""

    async def open(self, port: int) -> str | None:
        """Return the address outside that leads to `port` here; None where the router does not do that.

        Called again, it renews what it has opened before.
        """

    async def close(self) -> None:
        """Take back what was opened. Never raises."""


@dataclass(frozen=True, slots=True)
class ReachStatistics:
    """How others reach us.

    Attributes:
        verdict: what is known.
        announced: what others are told.
        asked: dial-backs that we have asked for.
        answered: of them, those that a peer made.
        circuits: our addresses through relays.
        mapped: the router's address that it has mapped to us.
        relaying: we offer to be a relay.
    """

    verdict: Verdict = field(default_factory=Verdict)
    announced: tuple[str, ...] = ()
    asked: int = 0
    answered: int = 0
    circuits: tuple[str, ...] = ()
    mapped: str | None = None
    relaying: bool = False


class Reachability:
    """Keeps what we announce true.

    Args:
        volunteers: whether to be a relay for others, once it is proved that they can dial us.
        mapper: asks the router for a port, where there is one.
        on_change: called when others reach us in another way than before.
    """

    def __init__(
        self,
        transport: Transport,
        view: View,
        *,
        volunteers: bool,
        mapper: PortMapper | None,
        on_change: Callable[["ReachStatistics"], None],
    ) -> None:
        self._transport = transport
        self._view = view
        self._volunteers = volunteers
        self._mapper = mapper
        self._on_change = on_change
        self._standing = Standing(transport.claimed, lambda: transport.candidates)
        self._asked_at: OrderedDict[str, float] = OrderedDict()
        self._reservations = Reservations(transport, view, self._apply)
        self._doubted = float("-inf")
        self._contradicted = float("-inf")
        self._doubts = DOUBTED
        self._asked = self._answered = 0
        self._untested = False
        self._told = ReachStatistics()
        self._presented: tuple[list[str], list[str]] | None = None
        self._sparing = False

    @property
    def relaying(self) -> bool:
        """Whether we offer to be a relay."""
        return self._volunteers and not self._sparing and bool(self._standing.verdict().reachable)

    def spare(self, *, sparing: bool) -> None:
        """Take nobody new as a relay, or do so again. Circuits that are open go on to their end."""
        self._sparing = sparing
        if self._presented is not None:
            self._apply()

    async def run(self) -> None:
        """Test and announce until cancelled; then nothing of ours is left in the router."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._test_again_and_again)
                nursery.start_soon(self._reservations.run, lambda: self._standing.verdict().needs_relay)
                if self._mapper is not None:
                    nursery.start_soon(self._keep_mapped, self._mapper)
        finally:
            if self._mapper is not None:
                await self._mapper.close()

    # ---- dial-back

    async def _test_again_and_again(self) -> None:
        while True:
            while not self._probers():
                await self._view.wait_change()
            began = trio.current_time()
            await self.test()
            await trio.sleep(UNSETTLED)
            until = began + (SETTLED if self._standing.probers else UNSETTLED)
            while trio.current_time() < until and not self._hopes_for_more():
                with trio.move_on_at(until):
                    await self._view.wait_change()

    def _hopes_for_more(self) -> bool:
        """Whether another test would tell more than the last: somebody is new, or an address is."""
        few = self._standing.probers < ASKED
        new = any(contact.peer_id not in self._asked_at for contact in self._probers())
        return self._untested or (few and new)

    async def test(self) -> None:
        """Let some peers dial us back, those first who were not asked for the longest time."""
        self._untested = False
        began = trio.current_time()
        for contact in self._probers()[:ASKED]:
            self._asked_at.pop(contact.peer_id, None)
            self._asked_at[contact.peer_id] = trio.current_time()
            while len(self._asked_at) > MOST_ASKED:
                self._asked_at.popitem(last=False)
            for port in self._standing.ports()[:MOST_PORTS]:
                self._asked += 1
                with suppress(TransportError), trio.move_on_after(ANSWER):
                    self._note(await self._transport.ask_dial_back(contact.peer_id, port))
            self._apply()
        if self._contradicted < began:
            self._doubts = DOUBTED

    def _note(self, told: DialBack) -> None:
        self._answered += 1
        now = trio.current_time()
        if not self._standing.note(told, now):
            return
        self._contradicted = now
        if now - self._doubted >= self._doubts:
            self._doubts = min(2 * self._doubts, MOST_DOUBTED)
            self._doubted, self._untested = now, True

    def _probers(self) -> list[Contact]:
        connected = set(self._transport.connected())
        near = [
            contact
            for contact in self._view.live()
            if contact.peer_id in connected and not self._transport.relayed(contact.peer_id)
        ]
        return sorted(near, key=lambda contact: self._asked_at.get(contact.peer_id, -1.0))

    # ---- the router

    async def _keep_mapped(self, mapper: PortMapper) -> None:
        while True:
            port = self._standing.hidden_port()
            if port is not None:
                mapped = await mapper.open(port)
                if mapped != self._standing.mapped:
                    self._standing.mapped, self._untested = mapped, True
                    self._apply()
            await trio.sleep(MAPPED_AGAIN)

    # ---- what follows

    def _apply(self) -> None:
        """Announce what has become true, and tell who listens."""
        circuits = self._reservations.circuits
        presented = self._standing.announced(circuits), self._standing.predicted()
        self._transport.offer_relay(willing=self.relaying)
        if presented != self._presented:
            self._presented = presented
            self._transport.present(*presented)
        told = replace(self.statistics(), asked=0, answered=0)
        if told != self._told:
            self._told = told
            self._on_change(told)

    def statistics(self) -> ReachStatistics:
        """Say what is known at this moment."""
        return ReachStatistics(
            verdict=self._standing.verdict(),
            announced=tuple(bare(address) for address in self._transport.addresses),
            asked=self._asked,
            answered=self._answered,
            circuits=self._reservations.circuits,
            mapped=self._standing.mapped,
            relaying=self.relaying,
        )
