"""Connections: accept them without leaking slots, dial every address that a peer has, and no peer unasked."""

import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence

import trio
from libp2p.abc import IMuxedConn, INetConn
from libp2p.crypto.keys import KeyPair
from libp2p.crypto.x25519 import create_new_key_pair as create_noise_key
from libp2p.io.trio import TrioTCPStream
from libp2p.network.auto_connector import AutoConnector
from libp2p.network.config import ConnectionConfig, RetryConfig
from libp2p.network.connection.raw_connection import RawConnection
from libp2p.network.connection.swarm_connection import SwarmConn
from libp2p.network.exceptions import SwarmException
from libp2p.network.swarm import Swarm
from libp2p.peer.id import ID
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE
from libp2p.security.noise.transport import Transport as Noise
from libp2p.transport.tcp.tcp import TCP
from libp2p.transport.upgrader import TransportUpgrader
from multiaddr import Multiaddr

from peer.swarm.libp2p_host.addresses import Address, Circuit, dialable, parse
from peer.swarm.libp2p_host.failures import NotReachedError, why_not_reached
from peer.swarm.libp2p_host.inbound import BriefReader, Handshakes, trust
from peer.swarm.libp2p_host.limits import ConnectionLimits
from peer.swarm.libp2p_host.muxer import GuardedMuxers
from peer.swarm.libp2p_host.paths import is_relayed, raw_connection
from peer.swarm.libp2p_host.peerstore import BoundedPeerStore

_STAGGER = 0.25
"""Seconds of head start that each address has over the next."""

_HEAD_START = 1.0
"""Seconds of head start that addresses have over circuits, and each circuit over the next."""

_ADDRESS_TTL = 7200
"""Seconds for which an address that answered is believed, as libp2p does what a peer says of itself."""


class _NoAutoConnector(AutoConnector):  # type: ignore[misc]
    """Never dials. Stock 0.8.1 dials every peer it hears of, up to half of the connection limit.

    Its watermarks cannot switch that off without pruning live connections too. Drop when a libp2p release
    can.
    """

    async def maybe_connect(self) -> None:
        """Do nothing."""


class GuardedSwarm(Swarm):  # type: ignore[misc]
    """All connections of one host.

    Args:
        keys: our identity. Security is noise alone: by default stock 0.8.1 also offers plaintext, on which
            anybody can claim any PeerID. Drop when a libp2p release no longer does.
        limits: bounds on connections and handshakes.

    Attributes:
        muxers: what agrees on a multiplexer.
        dial_circuit: dials a peer through a relay.
        on_relayed: called with each peer to which a relay connects us.
    """

    def __init__(self, keys: KeyPair, limits: ConnectionLimits) -> None:
        own = ID.from_pubkey(keys.public_key)
        noise = Noise(keys, noise_privkey=create_noise_key().private_key)
        upgrader = TransportUpgrader(
            secure_transports_by_protocol={NOISE: noise}, muxer_transports_by_protocol={}
        )
        self.muxers = GuardedMuxers(limits.ping_every, limits.ping_within)
        upgrader.muxer_multistream = self.muxers
        super().__init__(
            own,
            BoundedPeerStore(own, keys),
            upgrader,
            [TCP()],
            retry_config=RetryConfig(max_retries=0),
            connection_config=_configuration(limits),
        )
        self._limits = limits
        self._handshakes = Handshakes(limits.handshakes_per_host)
        self._dialling: dict[ID, trio.Lock] = {}
        self._direct_came = trio.Event()
        self.dial_circuit: Callable[[Circuit, ID], Awaitable[None]] = _no_circuits
        self.on_relayed: Callable[[ID], None] = _ignore

    def live_connections(self, peer: ID) -> list[INetConn]:
        """Return the connections to a peer that are not yet known to be dead."""
        return [connection for connection in self.get_connections(peer) if not connection.is_closed]

    async def add_conn(self, muxed_conn: IMuxedConn, direction: str = "unknown") -> SwarmConn:
        """Serve a connection, and know whether a relay carries it.

        In stock 0.8.1 every noise connection is of type unknown, so that a relayed one may be preferred. Drop
        when a libp2p release knows.
        """
        raw = raw_connection(muxed_conn)
        trust(raw)
        connection = await super().add_conn(muxed_conn, direction=direction)
        connection.set_transport_info(raw.get_transport_addresses(), raw.get_connection_type())
        if not is_relayed(muxed_conn):
            came, self._direct_came = self._direct_came, trio.Event()
            came.set()
        else:
            self.on_relayed(muxed_conn.peer_id)
        return connection

    def is_near(self, peer: ID) -> bool:
        """Whether there is a direct connection to a peer."""
        return any(not is_relayed(connection.muxed_conn) for connection in self.live_connections(peer))

    def only_relayed(self, peer: ID) -> bool:
        """Whether relays carry all live connections to a peer, of which there are some."""
        return bool(self.live_connections(peer)) and not self.is_near(peer)

    def relayed_peers(self) -> list[ID]:
        """Return the peers to which relays alone connect us."""
        return [peer for peer in list(self.connections) if self.only_relayed(peer)]

    async def wait_direct(self, peer: ID) -> None:
        """Wait until there is a direct connection to a peer."""
        while not self.is_near(peer):
            await self._direct_came.wait()

    def relayed_streams(self, peer: ID) -> int:
        """Return how many streams to a peer go through relays."""
        return sum(len(connection.get_streams()) for connection in self._relayed(peer))

    async def close_relayed(self, peer: ID) -> None:
        """Close the connections to a peer that go through relays."""
        for connection in self._relayed(peer):
            await connection.close()

    def _relayed(self, peer: ID) -> list[INetConn]:
        return [one for one in self.live_connections(peer) if is_relayed(one.muxed_conn)]

    def listening_ports(self) -> list[Address]:
        """Return the addresses that our sockets are bound to, ports resolved."""
        return [parse(str(text)) for listener in self.listeners.values() for text in listener.get_addrs()]

    async def dial_peer(self, peer_id: ID) -> list[INetConn]:
        """Connect to a peer by the addresses that libp2p knows of it; called by libp2p's own parts.

        The stock method tries one address for each kind of transport, which for TCP alone is one, and after
        a failure refuses to try again for a minute. Drop when a libp2p release tries all.
        """
        return await self.dial_any(peer_id, [str(address) for address in self.peerstore.addrs(peer_id)])

    async def dial_any(self, peer: ID, texts: Sequence[str]) -> list[INetConn]:
        """Connect by whichever address answers first, each with a head start over the next, circuits last.

        Raises:
            NotReachedError: none did; it says why of each.
        """
        if peer == self.self_id:
            raise SwarmException("that is our own PeerID")
        lock = self._dialling.setdefault(peer, trio.Lock())
        try:
            async with lock:
                if not self.live_connections(peer):
                    routes = dialable(texts, names=True)
                    direct = await _resolved(route for route in routes if isinstance(route, Address))
                    await self._race(peer, direct, [route for route in routes if isinstance(route, Circuit)])
        finally:
            if not lock.statistics().tasks_waiting and not lock.locked():
                self._dialling.pop(peer, None)
        return self.live_connections(peer)

    async def _race(self, peer: ID, direct: Sequence[Multiaddr], circuits: Sequence[Circuit]) -> None:
        failures: list[str] = []

        async def attempt(route: Multiaddr | Circuit, failed: trio.Event) -> None:
            try:
                async with self._global_dial_limiter:
                    await self._dial_route(route, peer)
            except Exception as error:  # noqa: BLE001 - one address that fails, however it does, is no more than that
                failures.append(why_not_reached(route, error))
                failed.set()
            else:
                race.cancel_scope.cancel()

        async with trio.open_nursery() as race:
            under_way: list[trio.Event] = []
            for route in direct:
                under_way.append(trio.Event())
                race.start_soon(attempt, route, under_way[-1])
                with trio.move_on_after(_STAGGER):
                    await under_way[-1].wait()
            with trio.move_on_after(_HEAD_START if circuits else 0.0):
                for one in under_way:
                    await one.wait()
            for circuit in circuits:
                failed = trio.Event()
                race.start_soon(attempt, circuit, failed)
                with trio.move_on_after(_HEAD_START):
                    await failed.wait()
        if not self.live_connections(peer):
            raise NotReachedError("; ".join(failures) or "there is no address to dial")

    async def _dial_route(self, route: Multiaddr | Circuit, peer: ID) -> None:
        if isinstance(route, Circuit):
            await self.dial_circuit(route, peer)
        else:
            await self.dial_addr(route, peer)
            self.peerstore.add_addrs(peer, [route], _ADDRESS_TTL)

    def _init_connection_management(self) -> None:
        super()._init_connection_management()
        self.auto_connector = _NoAutoConnector(self)

    async def _do_handle_inbound_connection(
        self, read_write_closer: TrioTCPStream, maddr: Multiaddr, failure_event: object
    ) -> None:
        """Serve one inbound connection to its end.

        The stock method waits for the end of the host instead, and holds a task and one of the inbound slots
        that long: after 250 connections, closed or not, every other is refused. Drop when a libp2p release
        lets go.
        """
        del failure_event
        raw = RawConnection(BriefReader(read_write_closer), initiator=False)
        try:
            with self._handshakes.one(read_write_closer):
                muxed = await self.upgrade_inbound_raw_conn(raw, maddr)
            await muxed.event_closed.wait()
        except Exception:  # noqa: BLE001, S110 - a stranger's connection failed; stock code does not tell either
            pass
        finally:
            # After an orderly end this changes nothing. It closes at once, even when cancelled.
            await raw.close()


def _configuration(limits: ConnectionLimits) -> ConnectionConfig:
    return ConnectionConfig(
        max_connections=limits.connections,
        min_connections=0,
        low_watermark=limits.connections // 2,
        high_watermark=limits.connections * 3 // 4,
        inbound_upgrade_timeout=limits.handshake,
        outbound_upgrade_timeout=limits.dial,
        inbound_stream_protocol_negotiation_timeout=limits.handshake,
        outbound_stream_protocol_negotiation_timeout=limits.dial,
    )


async def _no_circuits(circuit: Circuit, peer: ID) -> None:
    raise SwarmException(f"cannot dial {peer} through {circuit.relay_id}")


def _ignore(_: ID) -> None:
    pass


async def _resolved(addresses: Iterable[Address]) -> list[Multiaddr]:
    numbered: dict[str, None] = {}
    for address in addresses:
        if not address.named:
            numbered[str(address)] = None
            continue
        try:
            answers = await trio.socket.getaddrinfo(
                address.host, address.port, address.socket_family, socket.SOCK_STREAM
            )
        except OSError:
            continue
        for family, _, _, _, where in answers:
            version = "ip4" if family == socket.AF_INET else "ip6"
            numbered[str(Address(version, str(where[0]), address.port))] = None
    return [Multiaddr(text) for text in numbered]
