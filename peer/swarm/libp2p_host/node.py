"""`peer.swarm.transport.Transport` over a guarded libp2p host."""

from collections.abc import Sequence

import trio
from libp2p.abc import INetStream
from libp2p.custom_types import TProtocol
from libp2p.peer.id import ID

from peer.swarm.libp2p_host.addresses import Address, Circuit, dialable, parse_full
from peer.swarm.libp2p_host.announcement import Announcement
from peer.swarm.libp2p_host.failures import as_transport_error
from peer.swarm.libp2p_host.host import GuardedHost
from peer.swarm.libp2p_host.inbound import remote_host
from peer.swarm.libp2p_host.keys import libp2p_id
from peer.swarm.libp2p_host.limits import ConnectionLimits, TableLimits
from peer.swarm.libp2p_host.paths import is_relayed
from peer.swarm.libp2p_host.reach import Reach
from peer.swarm.libp2p_host.stream import Libp2pStream, Traffic
from peer.swarm.libp2p_host.table import RunTable
from peer.swarm.transport import (
    Contact,
    DialBack,
    Handler,
    RecordRules,
    Reservation,
    Stream,
    TransportError,
    TransportStatistics,
)

_HANG_UP = 2.0


class Libp2pTransport:
    """A running host. Make one with `open_transport`."""

    def __init__(
        self,
        host: GuardedHost,
        nursery: trio.Nursery,
        limits: ConnectionLimits,
        table_limits: TableLimits,
        announcement: Announcement,
        reach: Reach,
    ) -> None:
        self._host = host
        self._announcement = announcement
        self._reach = reach
        self._nursery = nursery
        self._limits = limits
        self._table_limits = table_limits
        self._table: RunTable | None = None
        self._traffic = Traffic()
        self._opened = 0
        self._accepted = 0

    @property
    def peer_id(self) -> str:
        """Our own PeerID."""
        return str(self._host.get_id().to_base58())

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where others can dial us: full multiaddrs with `/p2p/`, none unspecified (0.0.0.0)."""
        return tuple(f"{address}/p2p/{self.peer_id}" for address in self._announcement.current())

    @property
    def claimed(self) -> tuple[str, ...]:
        """What the operator says leads here; without `/p2p/`."""
        return self._announcement.claimed

    @property
    def candidates(self) -> tuple[str, ...]:
        """Where our sockets listen, as this machine sees it; without `/p2p/`, nothing proved."""
        return self._announcement.candidates()

    def present(self, announced: Sequence[str], predicted: Sequence[str] = ()) -> None:
        """Tell others to dial us at `announced` from now on; expect to be met at `predicted` in punching."""
        self._announcement.tell(announced)
        self._reach.puncher.expect(predicted)

    def handle(self, protocol: str, handler: Handler) -> None:
        """Serve inbound streams of `protocol`."""

        async def serve(raw: INetStream) -> None:
            self._accepted += 1
            stream = Libp2pStream(raw, self._traffic)
            try:
                await handler(stream)
            except BaseException:
                await stream.reset()
                raise  # the host counts it
            await stream.aclose()

        self._host.set_stream_handler(TProtocol(protocol), serve)

    async def dial(self, address: str) -> str:
        """Connect to a full multiaddr with `/p2p/` and return the PeerID that answered.

        Raises:
            TransportError: the address is malformed, or nobody with that PeerID answered at it in time.
        """
        where, peer_id = parse_full(address)
        await self._connect(libp2p_id(peer_id), [str(where)])
        return peer_id

    async def open_stream(self, contact: Contact, protocol: str) -> Stream:
        """Open a stream, dialling first where there is no connection.

        Raises:
            TransportError: the peer cannot be reached, or does not speak `protocol`.
        """
        peer = libp2p_id(contact.peer_id)
        if not self._host.swarm.live_connections(peer):
            await self._connect(peer, contact.addresses)
        with as_transport_error(f"{contact.peer_id} takes no stream"), trio.fail_after(self._limits.dial):
            raw = await self._host.new_stream(peer, [TProtocol(protocol)])
        self._opened += 1
        return Libp2pStream(raw, self._traffic)

    async def hang_up(self, peer_id: str) -> None:
        """Close every connection to a peer. Never raises."""
        try:
            peer = libp2p_id(peer_id)
        except TransportError:
            return
        with trio.CancelScope(shield=True), trio.move_on_after(_HANG_UP):
            await self._host.swarm.close_peer(peer)

    def direct_host(self, peer_id: str) -> str | None:
        """Return the IP address of a live connection that no relay carries, as the kernel tells it."""
        hosts = map(remote_host, self._host.swarm.live_connections(libp2p_id(peer_id)))
        return next((host for host in hosts if host is not None), None)

    def connected(self) -> Sequence[str]:
        """PeerIDs with at least one live connection."""
        swarm = self._host.swarm
        return [str(peer.to_base58()) for peer in list(swarm.connections) if swarm.live_connections(peer)]

    def relayed(self, peer_id: str) -> bool:
        """Whether we are connected to a peer through relays alone."""
        return self._host.swarm.only_relayed(libp2p_id(peer_id))

    async def ask_dial_back(self, peer_id: str, port: int) -> DialBack:
        """Let a peer that we are connected to directly try to reach us at `port` over a new connection.

        Raises:
            TransportError: it does not do that now, or went away.
        """
        return await self._reach.ask_dial_back(libp2p_id(peer_id), port)

    def offer_relay(self, *, willing: bool) -> None:
        """Carry control traffic of peers that ask for a reservation, within bounds, or stop to."""
        self._reach.relay.willing = willing

    async def reserve(self, relay: Contact) -> Reservation:
        """Ask a peer to let others reach us through it.

        Raises:
            DeclinedError: it does not offer that, or is full.
            TransportError: it cannot be reached, or does not answer.
        """
        peer = libp2p_id(relay.peer_id)
        if not self._host.swarm.live_connections(peer):
            await self._connect(peer, relay.addresses)
        seconds = await self._reach.circuits.reserve(peer)
        routes = [route for route in dialable(relay.addresses, names=False) if isinstance(route, Address)]
        return Reservation(tuple(str(Circuit(route, relay.peer_id)) for route in routes), seconds)

    async def join_table(self, run_id: bytes, known: Sequence[Contact], rules: RecordRules) -> None:
        """Enter the run's own DHT, through peers already known. Called once.

        Returns though nobody answers: a later `dial` or `open_stream` brings the first neighbour.
        The table is kept up from then on, even if this call is cut short or fails.

        Raises:
            TransportError: the first walk failed; the next may do better.
        """
        if self._table is not None:
            raise RuntimeError("the table is joined already")
        self._table = RunTable(self._host, run_id, rules, self._table_limits)
        self._nursery.start_soon(self._table.maintain)
        async with trio.open_nursery() as nursery:
            for contact in known:
                nursery.start_soon(self._try, contact)
        with as_transport_error("the first walk failed"):
            await self._table.walk()

    async def publish(self, value: bytes) -> None:
        """Store our own small signed record in the DHT under our PeerID.

        Raises:
            TransportError: no other peer took it.
        """
        with as_transport_error("publishing failed"):
            await self._joined().publish(value)

    async def look_up(self, peer_id: str) -> bytes | None:
        """Return the freshest record that the DHT holds for a peer; it keeps the rules of `join_table`."""
        libp2p_id(peer_id)
        with as_transport_error("looking up failed"):
            return await self._joined().look_up(peer_id)

    async def random_peers(self, count: int) -> Sequence[Contact]:
        """Return up to `count` peers near a random key: a draw from the whole run, not our neighbours."""
        with as_transport_error("looking up failed"):
            return await self._joined().random_peers(count)

    def statistics(self) -> TransportStatistics:
        """Counters and gauges."""
        swarm = self._host.swarm
        return TransportStatistics(
            connections=sum(len(swarm.live_connections(peer)) for peer in list(swarm.connections)),
            streams_opened=self._opened,
            streams_accepted=self._accepted,
            handler_failures=self._host.failures,
            bytes_received=self._traffic.received,
            bytes_sent=self._traffic.sent,
            dht_peers=0 if self._table is None else self._table.size,
            dht_evictions=0 if self._table is None else self._table.evictions,
            relayed_connections=sum(is_relayed(one.muxed_conn) for one in swarm.get_connections()),
            dial_backs_served=self._reach.dial_backs.served,
            relay=self._reach.relay.statistics(),
            punching=self._reach.puncher.statistics(),
        )

    async def _connect(self, peer: ID, addresses: Sequence[str]) -> None:
        with as_transport_error(f"{peer.to_base58()} does not answer"), trio.fail_after(self._limits.dial):
            await self._host.swarm.dial_any(peer, addresses)
            if self._table is not None:
                await self._table.meet(peer)

    async def _try(self, contact: Contact) -> None:
        try:
            await self._connect(libp2p_id(contact.peer_id), contact.addresses)
        except TransportError:
            return

    def _joined(self) -> RunTable:
        if self._table is None:
            raise RuntimeError("join_table has not been called")
        return self._table
