"""TCP hole punching: two peers that a relay connects dial each other at once, from the ports they listen on.

Each router takes the other's first packet for the answer to ours. It works where routers keep the port that a
connection leaves from; the sequence is that of libp2p's DCUtR.
"""

from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address

import trio
from libp2p.peer.id import ID
from multiaddr import Multiaddr

from peer.swarm.libp2p_host.addresses import Address, dialable
from peer.swarm.libp2p_host.swarm import GuardedSwarm
from peer.swarm.libp2p_host.talk import Talk, Talks
from peer.swarm.transport import PunchStatistics, TransportError
from protocol.errors import ProtocolError
from protocol.reach_calls import MAX_PUNCHED, Punch, PunchNow

ROUNDS = 3
"""Attempts at one peer: both must dial within the same moment, and a busy machine misses it."""

ROUND = 4.0
"""Seconds for one attempt: a dial, a handshake, and a packet that is lost once."""

AGAIN = 0.3
"""Seconds between two dials to one address in an attempt: a router may refuse the first."""

PAUSE = 1.0
REST = 600.0
"""Seconds before a peer with which all attempts failed is tried again, or when our place has changed."""

UNREADY = 10.0
"""Seconds before a peer that knows no place to be met is asked again: twice as many each time, to `REST`."""

LOOK = 5.0
"""Seconds between two looks at which relayed peers may be tried again."""

LONGEST_TRIP = 2.0
GRACE = 5.0
"""Seconds between two looks at whether a relayed connection is idle, once a direct one stands beside it."""

PATIENCE = 300.0
"""Seconds after which it is closed though it is busy."""

_MOST_RESTING = 1024


@dataclass(frozen=True, slots=True)
class _Rest:
    """After attempts that failed.

    Attributes:
        until: when the peer may be tried again.
        seconds: how long that is.
    """

    until: float
    seconds: float


class Puncher:
    """Makes relayed connections direct ones.

    Attributes:
        predicted: where we expect to be met: the router's address with a port that we listen on.
    """

    def __init__(self, swarm: GuardedSwarm, talks: Talks) -> None:
        self._swarm = swarm
        self._talks = talks
        self._resting: OrderedDict[ID, _Rest] = OrderedDict()
        self._followed: OrderedDict[ID, list[float]] = OrderedDict()
        self._upgrading: set[ID] = set()
        self._moved = trio.Event()
        self._succeeded = self._failed = 0
        self.predicted: tuple[str, ...] = ()

    def expect(self, predicted: Sequence[str]) -> None:
        """Expect to be met there. If that is new, peers that only relays connect to us are tried, at once."""
        if tuple(predicted) == self.predicted:
            return
        self.predicted = tuple(predicted)
        self._resting.clear()
        moved, self._moved = self._moved, trio.Event()
        moved.set()

    async def run(self) -> None:
        """Try peers that are still behind relays: when our place is known or changes, and after each rest."""
        async with trio.open_nursery() as nursery:
            while True:
                with trio.move_on_after(LOOK):
                    await self._moved.wait()
                for peer in self._swarm.relayed_peers():
                    nursery.start_soon(self.upgrade, peer)

    async def upgrade(self, peer: ID) -> None:
        """Try to reach directly a peer that a relay connects to us. Never raises for what it does.

        Both sides are told of the connection, or of two that crossed; one of them leads: the smaller PeerID.
        """
        if peer in self._upgrading or self._swarm.self_id.to_base58() > peer.to_base58():
            return
        self._upgrading.add(peer)
        try:
            if self._may_lead(peer):
                await self._attempt(peer)
            await self._leave_relay(peer)
        finally:
            self._upgrading.discard(peer)

    def _may_lead(self, peer: ID) -> bool:
        rest = self._resting.get(peer)
        rested = rest is None or rest.until <= trio.current_time()
        return bool(self.predicted) and rested and self._swarm.only_relayed(peer)

    async def _attempt(self, peer: ID) -> None:
        met_at, seconds = self.predicted, REST
        for _ in range(ROUNDS):
            try:
                if not await self._lead(peer):
                    seconds = self._longer(peer)
                    break
            except (TransportError, trio.TooSlowError):
                break  # it declines, or is gone
            await trio.sleep(PAUSE)
            if not self._swarm.only_relayed(peer):
                break
        if self._swarm.is_near(peer):
            self._resting.pop(peer, None)
        elif self.predicted == met_at:
            self._rest(peer, seconds)

    def _longer(self, peer: ID) -> float:
        rest = self._resting.get(peer)
        return UNREADY if rest is None else min(2 * rest.seconds, REST)

    async def _lead(self, peer: ID) -> bool:
        """Make one attempt; say whether the other side knows a place to be met."""
        async with self._talks.one(peer) as talk:
            began = trio.current_time()
            await talk.send(Punch(addresses=self.predicted[:MAX_PUNCHED]))
            answer = await talk.hear(Punch)
            assert isinstance(answer, Punch)  # noqa: S101 - what `hear` promises
            trip = min(trio.current_time() - began, LONGEST_TRIP)
            await talk.send(PunchNow())
            if not answer.addresses:
                return False
            await trio.sleep(trip / 2)
            # Who leads answers the handshake: two dials that meet become one connection, without a server.
            await self._dial(peer, answer.addresses, leads=True)
        return True

    async def follow(self, talk: Talk, call: Punch) -> None:
        """Serve the other side's attempt.

        Raises:
            TransportError, ProtocolError: the other side makes no sense, or is gone.
        """
        peer = ID.from_base58(talk.peer_id)
        await talk.send(Punch(addresses=self.predicted[:MAX_PUNCHED]))
        if not isinstance(await talk.hear_call(), PunchNow):
            raise ProtocolError("the other side does not dial")
        if self.predicted and talk.relayed and self._swarm.only_relayed(peer) and self._may_follow(peer):
            await self._dial(peer, call.addresses, leads=False)

    def _may_follow(self, peer: ID) -> bool:
        """Note an attempt that somebody else leads; say if it is one of the few in `REST` seconds."""
        now = trio.current_time()
        lately = [at for at in self._followed.pop(peer, []) if now - at < REST]
        allowed = len(lately) < ROUNDS
        self._followed[peer] = [*lately, now] if allowed else lately
        while len(self._followed) > _MOST_RESTING:
            self._followed.popitem(last=False)
        return allowed

    async def _dial(self, peer: ID, texts: Sequence[str], *, leads: bool) -> None:
        sources = self._swarm.listening_ports()
        with trio.move_on_after(ROUND):
            async with trio.open_nursery() as nursery:
                for address in self._plausible(texts):
                    source = _source_for(address, sources)
                    if source is not None:
                        nursery.start_soon(self._try, peer, address, source, leads)
                await self._swarm.wait_direct(peer)
                nursery.cancel_scope.cancel()
        if self._swarm.is_near(peer):
            self._succeeded += 1
            self._followed.pop(peer, None)
        else:
            self._failed += 1

    def _plausible(self, texts: Sequence[str]) -> list[Address]:
        """Return where the other side may be.

        That is one address of the internet for each IP family; and addresses inside a network where the sides
        share the one outside. Whoever names others would have us knock at strangers.
        """
        theirs, own = _direct(texts[:MAX_PUNCHED]), _direct(self.predicted)
        outside = [address for address in theirs if _is_global(address)]
        shared = {address.host for address in outside} & {address.host for address in own}
        near = shared or not any(_is_global(address) for address in (*theirs, *own))
        first = {address.family: address for address in reversed(outside)}
        inside = [address for address in theirs if near and not _is_global(address)]
        return [*first.values(), *inside]

    async def _try(self, peer: ID, address: Address, source: tuple[str, int], leads: bool) -> None:  # noqa: FBT001
        dial = self._swarm.dial_addr_as_responder if leads else self._swarm.dial_addr
        while True:
            with suppress(Exception):  # one dial that fails, however it does, is no more than that
                await dial(Multiaddr(str(address)), peer, source)
            await trio.sleep(AGAIN)

    def _rest(self, peer: ID, seconds: float) -> None:
        self._resting[peer] = _Rest(trio.current_time() + seconds, seconds)
        self._resting.move_to_end(peer)
        while len(self._resting) > _MOST_RESTING:
            self._resting.popitem(last=False)

    async def _leave_relay(self, peer: ID) -> None:
        """Close the relayed connection, once what runs over it has ended."""
        with trio.move_on_after(PATIENCE):
            while self._swarm.is_near(peer):
                await trio.sleep(GRACE)
                if not self._swarm.relayed_streams(peer):
                    break
        if self._swarm.is_near(peer):
            await self._swarm.close_relayed(peer)

    def statistics(self) -> PunchStatistics:
        """Counters since the start, of attempts that we led and of those that we followed."""
        return PunchStatistics(self._succeeded, self._failed)


def _source_for(address: Address, sources: Sequence[Address]) -> tuple[str, int] | None:
    return next(((source.host, source.port) for source in sources if source.family == address.family), None)


def _direct(texts: Sequence[str]) -> list[Address]:
    return [route for route in dialable(texts, names=False) if isinstance(route, Address)]


def _is_global(address: Address) -> bool:
    return ip_address(address.host).is_global
