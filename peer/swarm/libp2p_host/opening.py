"""Bring a host up, and take it down with nothing left open."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import trio
from multiaddr import Multiaddr
from multiaddr.utils import get_network_addrs

from peer.errors import ListenError
from peer.swarm.libp2p_host.addresses import announced
from peer.swarm.libp2p_host.announcement import Announcement
from peer.swarm.libp2p_host.failures import unwrapped
from peer.swarm.libp2p_host.host import GuardedHost
from peer.swarm.libp2p_host.keys import key_pair_of
from peer.swarm.libp2p_host.limits import ConnectionLimits, RelayLimits, TableLimits
from peer.swarm.libp2p_host.listening import announceable, listenable
from peer.swarm.libp2p_host.node import Libp2pTransport
from peer.swarm.libp2p_host.quiet import quieten
from peer.swarm.libp2p_host.reach import Reach
from peer.swarm.libp2p_host.swarm import GuardedSwarm
from peer.swarm.rate import FOR_OTHERS, RateLimit
from peer.swarm.transport import Transport
from protocol.identity import Identity

_GOODBYE = 1.0


@asynccontextmanager
async def open_transport(
    identity: Identity,
    listen: Sequence[str],
    *,
    announce: Sequence[str] = (),
    announce_loopback: bool = False,
    limits: ConnectionLimits = ConnectionLimits(),  # noqa: B008 - frozen
    table_limits: TableLimits = TableLimits(),  # noqa: B008 - frozen
    relay_limits: RelayLimits = RelayLimits(),  # noqa: B008 - frozen
    relay_rate: RateLimit | None = None,
) -> AsyncIterator[Transport]:
    """Run a libp2p host: TCP, noise and yamux only.

    Args:
        identity: who we are.
        listen: multiaddrs such as `/ip4/0.0.0.0/tcp/4001`. Port 0 takes a free one.
        announce: addresses to tell others in place of those of this machine: a router's, with its port
            forwarded.
        announce_loopback: whether to tell others loopback addresses where a wildcard includes them.
        limits: bounds on connections and streams.
        table_limits: bounds on the DHT.
        relay_limits: bounds on what is carried for others.
        relay_rate: of all circuits together; None for the usual one.

    Raises:
        ListenError: an address is malformed or cannot be bound.
    """
    quieten()
    where = [Multiaddr(str(address)) for address in listenable(listen)]

    told = tuple(str(address) for address in announceable(announce))
    swarm = GuardedSwarm(key_pair_of(identity), limits)

    def candidates() -> tuple[str, ...]:
        bound = (str(address) for address in swarm.listening_ports())
        return tuple(map(str, announced(bound, get_network_addrs, loopback=announce_loopback)))

    announcement = Announcement(told, candidates)
    host = GuardedHost(swarm, announcement.advertise, limits)
    up, done = trio.Event(), trio.Event()
    try:
        async with trio.open_nursery() as outer:
            outer.start_soon(_run, host, where, up, done)
            try:
                await up.wait()
                async with trio.open_nursery() as nursery:
                    reach = Reach(host, nursery, relay_limits, relay_rate or RateLimit(FOR_OTHERS))
                    yield Libp2pTransport(host, nursery, limits, table_limits, announcement, reach)
                    nursery.cancel_scope.cancel()
            finally:
                done.set()
    except BaseExceptionGroup as group:
        raise unwrapped(group) from None


async def _run(host: GuardedHost, where: list[Multiaddr], up: trio.Event, done: trio.Event) -> None:
    # The shield: cancelling libp2p's own tasks leaves sockets open, as they are closed by tasks that would be
    # cancelled too. So the host runs until `done`, which a cancelled caller sets as well.
    with trio.CancelScope(shield=True):
        async with host.run(where):
            try:
                if len(host.swarm.listeners) < len(set(where)):
                    tried = ", ".join(map(str, where))
                    raise ListenError(f"cannot listen on {tried}", "Try again, or choose other ports")
                up.set()
                await done.wait()
            finally:
                await _close(host)


async def _close(host: GuardedHost) -> None:
    # Leaving `run` does not close sockets; and `close` takes its time for each connection, one after another.
    with trio.CancelScope(shield=True), trio.move_on_after(_GOODBYE):
        async with trio.open_nursery() as nursery:
            for peer in list(host.swarm.connections):
                nursery.start_soon(host.swarm.close_peer, peer)
        await host.close()
