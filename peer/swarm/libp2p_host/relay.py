"""The relay that a peer with a public address offers to others: reservations, and circuits between peers."""

from collections import Counter
from collections.abc import Awaitable, Callable

import trio

from peer.swarm.libp2p_host.limits import RelayLimits
from peer.swarm.libp2p_host.stream import Libp2pStream
from peer.swarm.libp2p_host.talk import Talk
from peer.swarm.rate import RateLimit
from peer.swarm.transport import RelayStatistics, TransportError
from protocol.errors import ProtocolError
from protocol.reach_calls import Connected, Declined, Reserved

_AT_ONCE = 16 * 1024
"""Bytes carried between two looks at the rate: small, so that one circuit's bulk lets another's call pass."""

Deliver = Callable[[str, str], Awaitable[Libp2pStream]]
"""Opens a stream to a peer (the first PeerID) that stands for another (the second); returns it accepted."""


class Relay:
    """Carries bytes between peers, within `RelayLimits`, once it offers to.

    libp2p's own relay holds a stream that reads nothing for 15 seconds, gives any circuit the whole line, and
    lets a peer reserve in the name of another.
    """

    def __init__(
        self, limits: RelayLimits, rate: RateLimit, connected: Callable[[str], bool], deliver: Deliver
    ) -> None:
        self._limits = limits
        self._rate = rate
        self._connected = connected
        self._deliver = deliver
        self._reserved: dict[str, float] = {}
        self._opened: Counter[str] = Counter()
        self._led_to: Counter[str] = Counter()
        self._circuits_opened = self._refused = self._bytes = 0
        self.willing = False

    def reserve(self, peer_id: str) -> Reserved | Declined:
        """Answer who asks to be reached through us. Asking again renews."""
        self._drop_lapsed()
        full = len(self._reserved) >= self._limits.reservations and peer_id not in self._reserved
        if not self.willing or full:
            self._refused += 1
            return Declined(reason="all places are taken" if self.willing else "I am no relay")
        self._reserved[peer_id] = trio.current_time() + self._limits.reserved_for
        return Reserved(seconds=self._limits.reserved_for)

    async def connect(self, talk: Talk, target: str) -> None:
        """Answer who asks for a circuit to `target`, and carry it to its end.

        Raises:
            TransportError: the caller went away.
        """
        caller = talk.peer_id
        reason = self._objection(caller, target)
        if reason is not None:
            self._refused += 1
            await talk.send(Declined(reason=reason))
            return
        self._opened[caller] += 1
        self._led_to[target] += 1
        try:
            await self._carry_to(talk, target)
        finally:
            self._opened -= Counter([caller])
            self._led_to -= Counter([target])

    def _objection(self, caller: str, target: str) -> str | None:
        self._drop_lapsed()
        limits = self._limits
        if target not in self._reserved or target == caller:
            return "it has no reservation with me"
        if self._opened.total() >= limits.circuits:
            return "all circuits are taken"
        if max(self._opened[caller], self._led_to[target]) >= limits.circuits_per_peer:
            return "you or it have as many circuits as one peer may"
        return None

    async def _carry_to(self, talk: Talk, target: str) -> None:
        try:
            other = await self._deliver(target, talk.peer_id)
        except (TransportError, ProtocolError):
            await talk.send(Declined(reason="it did not take the circuit"))
            return
        self._circuits_opened += 1
        try:
            await talk.send(Connected())
            with trio.move_on_after(self._limits.circuit_seconds):
                await self._splice(talk.stream, other)
        finally:
            await other.reset()

    async def _splice(self, one: Libp2pStream, other: Libp2pStream) -> None:
        left = self._limits.circuit_bytes

        async def pump(source: Libp2pStream, target: Libp2pStream) -> None:
            nonlocal left
            try:
                while left > 0 and (data := await source.receive_some(_AT_ONCE)):
                    left -= len(data)
                    self._bytes += len(data)
                    await self._rate.take(len(data))
                    await target.send_all(data)
            except TransportError:
                pass
            nursery.cancel_scope.cancel()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(pump, one, other)
            nursery.start_soon(pump, other, one)

    def _drop_lapsed(self) -> None:
        now = trio.current_time()
        lapsed = [
            peer_id
            for peer_id, until in self._reserved.items()
            if until <= now or not self._connected(peer_id)
        ]
        for peer_id in lapsed:
            del self._reserved[peer_id]

    def statistics(self) -> RelayStatistics:
        """Say what is carried now, and what has been since the start."""
        return RelayStatistics(
            reservations=len(self._reserved),
            circuits=self._opened.total(),
            circuits_opened=self._circuits_opened,
            refused=self._refused,
            bytes=self._bytes,
        )
