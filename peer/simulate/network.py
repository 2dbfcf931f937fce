"""The in-memory twin of the libp2p transport: links with delay and rate, peers that die or freeze."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import trio

from peer.swarm.transport import (
    Contact,
    DeclinedError,
    DialBack,
    Handler,
    RecordRules,
    Reservation,
    Stream,
    TransportError,
    TransportStatistics,
)

PACKET = 16 * 1024
"""Bytes that arrive together."""

IN_FLIGHT = 64
"""Packets of a stream that a link holds before the sender waits, like a window."""

QUEUED = 0.1
"""Seconds of packets, of all streams, that an uplink holds before those who send wait: a router's buffer."""


@dataclass(frozen=True, slots=True)
class Link:
    """One direction between two peers."""

    delay: float = 0.01
    """Seconds that every byte travels."""
    rate: float = math.inf
    """Bytes a second."""


@dataclass(slots=True)
class Network:
    """All peers of one simulation. Seeded: two runs with one seed and one clock are the same."""

    seed: int = 0
    link: Link = field(default_factory=Link)
    peers: dict[str, "MemoryTransport"] = field(default_factory=dict)
    table: dict[str, bytes | None] = field(default_factory=dict)
    """The DHT: PeerID to published record."""
    unplugged: set[str] = field(default_factory=set)
    uplinks: dict[str, Link] = field(default_factory=dict)
    """The direction away from a peer, where it is not `link`: a home's uplink."""
    hidden: set[str] = field(default_factory=set)
    """Peers behind routers: nobody can dial them, but they dial, and whom they have dialled may call back."""
    connections: set[frozenset[str]] = field(default_factory=set)
    """Pairs of which one has dialled the other."""
    circuits: set[frozenset[str]] = field(default_factory=set)
    """Pairs of which one has dialled the other through a relay."""
    walls: dict[str, int] = field(default_factory=dict)
    """In which part of a partition each peer is; no bytes pass between two parts."""
    reserved: dict[str, set[str]] = field(default_factory=dict)
    """For each hidden peer, the relays through which it can be reached."""

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)

    rng: random.Random = field(init=False)

    def add(self, peer_id: str) -> "MemoryTransport":
        """Bring up a peer at the address `/memory/PEER_ID`."""
        self.peers[peer_id] = MemoryTransport(self, peer_id)
        return self.peers[peer_id]

    def kill(self, peer_id: str) -> None:
        """Take a peer down as SIGKILL would: its streams end, nothing is said."""
        self.peers.pop(peer_id).die()
        self.table.pop(peer_id, None)
        self.disconnect(peer_id)

    def unplug(self, peer_id: str) -> None:
        """Take a peer's line away: it can neither call nor be called, and its streams end."""
        self.unplugged.add(peer_id)
        self.peers[peer_id].die()
        self.disconnect(peer_id)

    def plug_in(self, peer_id: str) -> None:
        """Give the line back."""
        self.unplugged.discard(peer_id)

    def part(self, *parts: Sequence[str]) -> None:
        """Cut the network into parts, each whole in itself; streams between them end. `part()` heals it."""
        self.walls = {peer_id: number for number, peers in enumerate(parts) for peer_id in peers}
        for transport in self.peers.values():
            transport.cut_walled()

    def is_walled(self, one: str, other: str) -> bool:
        """Whether a partition stands between two peers."""
        return self.walls.get(one) != self.walls.get(other)

    def hide(self, peer_id: str) -> None:
        """Put a peer behind a router that leads nobody to it."""
        self.hidden.add(peer_id)

    def disconnect(self, peer_id: str) -> None:
        """End every connection of a peer, and its reservations with relays."""
        self.connections = {pair for pair in self.connections if peer_id not in pair}
        self.circuits = {pair for pair in self.circuits if peer_id not in pair}
        self.reserved.pop(peer_id, None)

    def relay_between(self, caller: str, callee: str) -> str | None:
        """Return a relay that leads from one peer to another which is hidden."""
        for relay in sorted(self.reserved.get(callee, ())):
            transport = self.peers.get(relay)
            if transport and transport.willing and relay not in self.unplugged | {caller}:
                return relay
        return None

    def reaches(self, one: str, other: str) -> bool:
        """Say whether there is a line between two peers now."""
        return not {one, other} & self.unplugged and not self.is_walled(one, other)

    def freeze(self, peer_id: str) -> None:
        """Stop a peer as SIGSTOP would: its streams stay open and silent."""
        self.peers[peer_id].frozen = True


class MemoryStream:
    """One end of a stream. What is sent arrives after the link's delay, in order."""

    def __init__(self, owner: "MemoryTransport", peer_id: str) -> None:
        self._owner = owner
        self._peer_id = peer_id
        self._send, self._receive = trio.open_memory_channel[tuple[float, bytes]](IN_FLIGHT)
        self._other: MemoryStream | None = None
        self._left = b""

    @property
    def peer_id(self) -> str:
        """Who is at the other end."""
        return self._peer_id

    def join(self, other: "MemoryStream") -> None:
        """Make two ends one stream."""
        self._other, other._other = other, self  # noqa: SLF001 - two ends of one thing

    async def send_all(self, data: bytes | memoryview) -> None:
        """See `Stream`."""
        await self._owner.not_frozen()
        other = self._living_other()
        network = self._owner.network
        link = network.uplinks.get(self._owner.peer_id, network.link)
        self._owner.bytes_sent += len(data)
        view = memoryview(data)
        for at in range(0, len(view), PACKET):
            packet = bytes(view[at : at + PACKET])
            arrival = await self._owner.take_line(packet, link) + link.delay
            try:
                await other._send.send((arrival, packet))  # noqa: SLF001
            except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
                raise TransportError(f"{self._peer_id} closed the stream") from error

    async def receive_some(self, limit: int) -> bytes:
        """See `Stream`."""
        await self._owner.not_frozen()
        if not self._left:
            try:
                arrival, self._left = await self._receive.receive()
            except (trio.EndOfChannel, trio.ClosedResourceError):
                return b""
            await trio.sleep_until(arrival)
        data, self._left = self._left[:limit], self._left[limit:]
        self._owner.bytes_received += len(data)
        return data

    async def aclose(self) -> None:
        """See `Stream`."""
        self.cut()

    async def reset(self) -> None:
        """See `Stream`."""
        self.cut()

    def cut(self) -> None:
        """End both directions; what is already in flight still arrives."""
        self._receive.close()
        if self._other is not None:
            self._other._send.close()  # noqa: SLF001

    def _living_other(self) -> "MemoryStream":
        if self._other is None:
            raise TransportError("the stream is not open")
        return self._other


class MemoryTransport:
    """A `Transport` whose peers live in one `Network`. Run `serve` in a nursery to answer inbound streams."""

    def __init__(self, network: Network, peer_id: str) -> None:
        self.network = network
        self._peer_id = peer_id
        self._handlers: dict[str, Handler] = {}
        self._arrivals, self._arriving = trio.open_memory_channel[tuple[MemoryStream, str]](math.inf)
        self._streams: list[MemoryStream] = []
        self._opened = self._accepted = self._failures = 0
        self.frozen = False
        self.willing = False
        """To be a relay."""
        self._announced: tuple[str, ...] | None = None
        self.host: str | None = None
        self._line_free = 0.0
        self.bytes_sent = self.bytes_received = 0

    @property
    def peer_id(self) -> str:
        """See `Transport`."""
        return self._peer_id

    @property
    def addresses(self) -> tuple[str, ...]:
        """See `Transport`."""
        told = self.candidates if self._announced is None else self._announced
        return tuple(f"{address}/p2p/{self._peer_id}" for address in told)

    def handle(self, protocol: str, handler: Handler) -> None:
        """See `Transport`."""
        self._handlers[protocol] = handler

    async def dial(self, address: str) -> str:
        """See `Transport`."""
        await self.not_frozen()
        peer_id = address.rpartition("/p2p/")[2]
        await trio.sleep(2 * self.network.link.delay)
        network, pair = self.network, frozenset((self._peer_id, peer_id))
        if peer_id not in network.peers or not network.reaches(peer_id, self._peer_id):
            raise TransportError(f"nobody listens at {address}")
        if peer_id not in network.hidden:
            network.connections.add(pair)
        elif pair not in network.connections:
            if network.relay_between(self._peer_id, peer_id) is None:
                raise TransportError(f"{peer_id} is behind a router")
            network.circuits.add(pair)
        await network.peers[peer_id].not_frozen()
        return peer_id

    async def open_stream(self, contact: Contact, protocol: str) -> Stream:
        """See `Transport`."""
        await self.dial(f"/p2p/{contact.peer_id}")
        other = self.network.peers.get(contact.peer_id)
        if other is None or protocol not in other._handlers:  # noqa: SLF001
            raise TransportError(f"{contact.peer_id} does not speak {protocol}")
        ours, theirs = MemoryStream(self, contact.peer_id), MemoryStream(other, self._peer_id)
        ours.join(theirs)
        self._streams.append(ours)
        self._opened += 1
        other._streams.append(theirs)  # noqa: SLF001
        other._arrivals.send_nowait((theirs, protocol))  # noqa: SLF001
        return ours

    async def hang_up(self, peer_id: str) -> None:
        """See `Transport`."""
        for stream in self._streams:
            if stream.peer_id == peer_id:
                stream.cut()
        pair = frozenset((self._peer_id, peer_id))
        self.network.connections.discard(pair)
        self.network.circuits.discard(pair)

    def direct_host(self, peer_id: str) -> str | None:
        """See `Transport`. Where a host is set, this simulated peer has real sockets beside its links."""
        del peer_id
        return self.host

    def connected(self) -> Sequence[str]:
        """See `Transport`."""
        return sorted(
            peer_id
            for pair in self.network.connections | self.network.circuits
            if self._peer_id in pair
            for peer_id in pair - {self._peer_id}
        )

    def relayed(self, peer_id: str) -> bool:
        """See `Transport`."""
        network, pair = self.network, frozenset((self._peer_id, peer_id))
        return pair in network.circuits and pair not in network.connections

    @property
    def claimed(self) -> tuple[str, ...]:
        """See `Transport`."""
        return ()

    @property
    def candidates(self) -> tuple[str, ...]:
        """See `Transport`."""
        return (f"/memory/{self._peer_id}",)

    def present(self, announced: Sequence[str], predicted: Sequence[str] = ()) -> None:
        """See `Transport`."""
        del predicted
        self._announced = tuple(announced)

    async def ask_dial_back(self, peer_id: str, port: int) -> DialBack:
        """See `Transport`."""
        del port
        await self.not_frozen()
        if peer_id not in self.connected():
            raise TransportError(f"{peer_id} is not connected")
        await trio.sleep(2 * self.network.link.delay)
        result: Literal["silent", "reached"] = "silent" if self._peer_id in self.network.hidden else "reached"
        return DialBack(peer_id, f"/memory/{self._peer_id}", result, None, None)

    def offer_relay(self, *, willing: bool) -> None:
        """See `Transport`."""
        self.willing = willing

    async def reserve(self, relay: Contact) -> Reservation:
        """See `Transport`."""
        await self.dial(f"/p2p/{relay.peer_id}")
        if not self.network.peers[relay.peer_id].willing:
            raise DeclinedError(f"{relay.peer_id} is no relay")
        self.network.reserved.setdefault(self._peer_id, set()).add(relay.peer_id)
        return Reservation((f"/memory/{relay.peer_id}/p2p/{relay.peer_id}/p2p-circuit",), 1800.0)

    async def join_table(self, run_id: bytes, known: Sequence[Contact], rules: RecordRules) -> None:
        """See `Transport`."""
        del run_id, known, rules
        self.network.table.setdefault(self._peer_id, None)

    async def publish(self, value: bytes) -> None:
        """See `Transport`."""
        self.network.table[self._peer_id] = value

    async def look_up(self, peer_id: str) -> bytes | None:
        """See `Transport`."""
        return self.network.table.get(peer_id)

    async def random_peers(self, count: int) -> Sequence[Contact]:
        """See `Transport`."""
        if self._peer_id in self.network.unplugged:
            raise TransportError("no line")
        others = sorted(set(self.network.table) - {self._peer_id})
        drawn = self.network.rng.sample(others, min(count, len(others)))
        return [Contact(peer_id, (f"/memory/{peer_id}",)) for peer_id in drawn]

    async def serve(self) -> None:
        """Answer inbound streams until cancelled."""
        async with trio.open_nursery() as nursery:
            async for stream, protocol in self._arriving:
                self._accepted += 1
                nursery.start_soon(self._serve_one, stream, self._handlers[protocol])

    async def _serve_one(self, stream: MemoryStream, handler: Handler) -> None:
        try:
            await handler(stream)
        except Exception:  # noqa: BLE001 - as in the real transport, a handler never ends the host
            self._failures += 1
        stream.cut()

    async def not_frozen(self) -> None:
        """Wait for ever where this peer is frozen."""
        if self.frozen:
            await trio.sleep_forever()

    def cut_walled(self) -> None:
        """Cut the streams that a partition now crosses."""
        for stream in self._streams:
            if self.network.is_walled(self._peer_id, stream.peer_id):
                stream.cut()
                self.network.connections.discard(frozenset((self._peer_id, stream.peer_id)))

    async def take_line(self, packet: bytes, link: Link) -> float:
        """Return when our uplink will have sent a packet; wait while `QUEUED` seconds of others are ahead.

        All our streams share it, packet by packet.
        """
        while trio.current_time() < (room := self._line_free - QUEUED):  # noqa: ASYNC110 - others may be first
            await trio.sleep_until(room)
        self._line_free = max(trio.current_time(), self._line_free) + len(packet) / link.rate
        return self._line_free

    def die(self) -> None:
        """Cut every stream."""
        for stream in self._streams:
            stream.cut()

    def statistics(self) -> TransportStatistics:
        """See `Transport`."""
        return TransportStatistics(
            connections=len(self.connected()),
            streams_opened=self._opened,
            streams_accepted=self._accepted,
            handler_failures=self._failures,
            bytes_received=self.bytes_received,
            bytes_sent=self.bytes_sent,
            dht_peers=len(self.network.table),
            dht_evictions=0,
        )
