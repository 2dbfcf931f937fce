"""Reservations with relays, for one whom nobody can dial: asked for, renewed, and asked for elsewhere."""

from collections.abc import Callable
from dataclasses import dataclass

import trio

from peer.swarm.backoff import Backoff
from peer.swarm.transport import DeclinedError, Transport, TransportError
from peer.swarm.view import View

RELAYS = 2
"""Relays that we ask for a reservation: one of them may leave."""

LOOK = 5.0
"""Seconds between two looks at whether the reservations still stand."""

RELAYS_ASKED = 4
"""Relays asked for a reservation in one look."""

ANSWER = 15.0
"""Seconds for a relay's answer."""

DECLINED = 120.0
"""Seconds before a relay that declined is asked again."""

LOST = 5.0
"""Seconds before a relay that was not reached, or did not answer, is asked again. Doubling, up to `DECLINED`:
where there is one relay alone, nobody reaches us meanwhile."""


@dataclass(slots=True)
class _Held:
    """A reservation."""

    circuits: tuple[str, ...]
    renew_at: float
    ends: float


class Reservations:
    """What relays have promised us. `on_change` hears whenever that may have changed."""

    def __init__(self, transport: Transport, view: View, on_change: Callable[[], None]) -> None:
        self._transport = transport
        self._view = view
        self._on_change = on_change
        self._held: dict[str, _Held] = {}
        self._backoff = Backoff(LOST, DECLINED)
        """From relays that gave none when they were asked last."""

    @property
    def circuits(self) -> tuple[str, ...]:
        """Our addresses through relays."""
        return tuple(each for held in self._held.values() for each in held.circuits)

    async def run(self, needed: Callable[[], bool]) -> None:
        """Hold reservations while they are needed, until cancelled."""
        while True:
            self._drop_lost()
            if needed():
                await self._renew()
                await self._reserve()
            elif self._held:
                self._held.clear()  # they lapse
                self._on_change()
            await trio.sleep(LOOK)

    def _drop_lost(self) -> None:
        connected, now = set(self._transport.connected()), trio.current_time()
        lost = [relay for relay, held in self._held.items() if relay not in connected or held.ends <= now]
        for relay in lost:
            del self._held[relay]
        if lost:
            self._on_change()

    async def _renew(self) -> None:
        now = trio.current_time()
        for relay, held in list(self._held.items()):
            if held.renew_at <= now:
                await self._ask(relay)

    async def _reserve(self) -> None:
        offering = [relay.peer_id for relay in self._view.relays()]
        free = [each for each in offering if each not in self._held and not self._backoff.pauses(each)]
        for relay in free[:RELAYS_ASKED]:
            if len(self._held) >= RELAYS:
                return
            await self._ask(relay)

    async def _ask(self, relay: str) -> None:
        """Ask for a reservation, or a longer one; what is held stands until it ends."""
        contact, reserved, declined = self._view.contact(relay), None, False
        if contact is not None:
            with trio.move_on_after(ANSWER):
                try:
                    reserved = await self._transport.reserve(contact)
                except DeclinedError:
                    declined = True
                except TransportError:
                    pass
        now = trio.current_time()
        if reserved is not None and reserved.circuits:
            self._held[relay] = _Held(reserved.circuits, now + reserved.seconds / 2, now + reserved.seconds)
            self._backoff.worked(relay)
        else:
            until = self._backoff.failed(relay, hopeless=declined)
            if (held := self._held.get(relay)) is not None:
                held.renew_at = until
        self._on_change()
