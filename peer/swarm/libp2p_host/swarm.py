"""Connections: accept them without leaking slots, dial every address that a peer has, and no peer unasked."""

import socket
from collections.abc import Iterable, Sequence

import trio
from libp2p.abc import INetConn
from libp2p.crypto.keys import KeyPair
from libp2p.crypto.x25519 import create_new_key_pair as create_noise_key
from libp2p.io.trio import TrioTCPStream
from libp2p.network.auto_connector import AutoConnector
from libp2p.network.config import ConnectionConfig, RetryConfig
from libp2p.network.connection.raw_connection import RawConnection
from libp2p.network.exceptions import SwarmException
from libp2p.network.swarm import Swarm
from libp2p.peer.id import ID
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE
from libp2p.security.noise.transport import Transport as Noise
from libp2p.transport.tcp.tcp import TCP
from libp2p.transport.upgrader import TransportUpgrader
from multiaddr import Multiaddr

from peer.swarm.libp2p_host.addresses import Address, dialable
from peer.swarm.libp2p_host.inbound import BriefReader, Handshakes
from peer.swarm.libp2p_host.limits import ConnectionLimits
from peer.swarm.libp2p_host.muxer import GuardedMuxers
from peer.swarm.libp2p_host.peerstore import BoundedPeerStore

_STAGGER = 0.25
"""Seconds of head start that each address has over the next."""

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
    """

    def __init__(self, keys: KeyPair, limits: ConnectionLimits) -> None:
        own = ID.from_pubkey(keys.public_key)
        noise = Noise(keys, noise_privkey=create_noise_key().private_key)
        upgrader = TransportUpgrader(
            secure_transports_by_protocol={NOISE: noise}, muxer_transports_by_protocol={}
        )
        upgrader.muxer_multistream = GuardedMuxers(limits.ping_every, limits.ping_within)
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

    def live_connections(self, peer: ID) -> list[INetConn]:
        """Return the connections to a peer that are not yet known to be dead."""
        return [connection for connection in self.get_connections(peer) if not connection.is_closed]

    async def dial_peer(self, peer_id: ID) -> list[INetConn]:
        """Connect to a peer by the addresses that libp2p knows of it; called by libp2p's own parts.

        The stock method tries one address for each kind of transport, which for TCP alone is one, and after
        a failure refuses to try again for a minute. Drop when a libp2p release tries all.
        """
        return await self.dial_any(peer_id, [str(address) for address in self.peerstore.addrs(peer_id)])

    async def dial_any(self, peer: ID, texts: Sequence[str]) -> list[INetConn]:
        """Connect by whichever address answers first, each with a head start over the next.

        Raises:
            SwarmException: none did.
        """
        if peer == self.self_id:
            raise SwarmException("that is our own PeerID")
        lock = self._dialling.setdefault(peer, trio.Lock())
        try:
            async with lock:
                if not self.live_connections(peer):
                    await self._race(peer, await _resolved(dialable(texts, names=True)))
        finally:
            if not lock.statistics().tasks_waiting and not lock.locked():
                self._dialling.pop(peer, None)
        return self.live_connections(peer)

    async def _race(self, peer: ID, addresses: Sequence[Multiaddr]) -> None:
        failures: list[str] = []

        async def attempt(address: Multiaddr, failed: trio.Event) -> None:
            try:
                async with self._global_dial_limiter:
                    await self.dial_addr(address, peer)
            except Exception as error:  # noqa: BLE001 - one address that fails, however it does, is no more than that
                failures.append(f"{address}: {error}")
                failed.set()
            else:
                self.peerstore.add_addrs(peer, [address], _ADDRESS_TTL)
                race.cancel_scope.cancel()

        async with trio.open_nursery() as race:
            for address in addresses:
                failed = trio.Event()
                race.start_soon(attempt, address, failed)
                with trio.move_on_after(_STAGGER):
                    await failed.wait()
        if not self.live_connections(peer):
            raise SwarmException("; ".join(failures) or "no address to dial")

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
            raw.stream = read_write_closer
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
