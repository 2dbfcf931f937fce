"""The small interface behind which a network lies: libp2p in the daemon, memory in tests."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol


class TransportError(Exception):
    """A peer could not be reached, or went away. Costs a counter, never more."""


class SilentError(TransportError):
    """A peer moved no byte in time, though something was due."""


class DeclinedError(TransportError):
    """A peer was reached, and does not do what it was asked for, at least not now."""


class Stream(Protocol):
    """A byte stream to one authenticated peer.

    Every method may raise `TransportError`; none sets a deadline of its own: wrap calls in `trio.fail_after`.
    """

    @property
    def peer_id(self) -> str:
        """The PeerID that the other side has proved."""

    async def send_all(self, data: bytes | memoryview) -> None:
        """Send every byte, waiting for the receiver's window."""

    async def receive_some(self, limit: int) -> bytes:
        """Return 1 to `limit` bytes, or b"" at the end. A cut stream looks like its end: frame and hash."""

    async def aclose(self) -> None:
        """Close both directions. Never raises, never waits for the other side."""

    async def reset(self) -> None:
        """Drop the stream at once. Never raises."""


Handler = Callable[[Stream], Awaitable[None]]
"""Serves one inbound stream. The transport closes it when this returns, and resets it when this raises."""


class RecordRules(Protocol):
    """What the DHT must know of the records it holds for others; their format stays the caller's."""

    def validate(self, peer_id: str, value: bytes) -> bool:
        """Say whether `value` is a record for this run that `peer_id` signed. The bytes are hostile."""

    def sequence(self, value: bytes) -> int:
        """Return the number of a valid record; of two, the higher is the newer."""


@dataclass(frozen=True, slots=True)
class Contact:
    """A peer and where it says it can be dialled (multiaddrs without `/p2p/`)."""

    peer_id: str
    addresses: tuple[str, ...]


def bare(address: str) -> str:
    """Return a multiaddr without the `/p2p/` and PeerID of the peer that it leads to, where it has them.

    A circuit's address names its relay before `/p2p-circuit`; that name stays.
    """
    head, _, _ = address.rpartition("/")
    return head.removesuffix("/p2p") if head.endswith("/p2p") else address


@dataclass(frozen=True, slots=True)
class DialBack:
    """How a peer sees us, and whether it reached us over a new connection to an address of ours.

    Attributes:
        prober: who tried.
        address: what it tried: where it sees us, and the port that we named. Without `/p2p/`.
        result: what became of it. Our word where it is `reached`: a nonce came in; the peer's otherwise.
        seen_port: from which port our connection to it comes, as it sees it; None where it dialled us.
        own_port: from which port that connection leaves us; None where it dialled us.
    """

    prober: str
    address: str
    result: Literal["reached", "silent", "refused", "stranger"]
    seen_port: int | None
    own_port: int | None


@dataclass(frozen=True, slots=True)
class Reservation:
    """A relay's promise, which lasts for some seconds and no longer than the connection to the relay."""

    circuits: tuple[str, ...]
    """Addresses of ours that lead through the relay, without `/p2p/` and our PeerID."""
    seconds: float


@dataclass(frozen=True, slots=True)
class RelayStatistics:
    """What we carry for others, all 0 while we offer nothing."""

    reservations: int = 0
    """Held at present."""
    circuits: int = 0
    """Open at present."""
    circuits_opened: int = 0
    refused: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class PunchStatistics:
    """Attempts to make a relayed connection a direct one, whichever side led them."""

    succeeded: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class TransportStatistics:
    """What a transport has done since it started."""

    connections: int
    streams_opened: int
    streams_accepted: int
    handler_failures: int
    """Inbound streams whose negotiation or handler raised: hostile or broken peers."""
    bytes_received: int
    bytes_sent: int
    dht_peers: int
    dht_evictions: int
    relayed_connections: int = 0
    """Of the connections, those that a relay carries."""
    dial_backs_served: int = 0
    relay: RelayStatistics = RelayStatistics()
    punching: PunchStatistics = PunchStatistics()


class Transport(Protocol):
    """Listen, dial, open a stream, publish, look up."""

    @property
    def peer_id(self) -> str:
        """Our own PeerID."""

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where others can dial us: full multiaddrs with `/p2p/`, none unspecified (0.0.0.0)."""

    def handle(self, protocol: str, handler: Handler) -> None:
        """Serve inbound streams of `protocol`."""

    async def dial(self, address: str) -> str:
        """Connect to a full multiaddr with `/p2p/` and return the PeerID that answered."""

    async def open_stream(self, contact: Contact, protocol: str) -> Stream:
        """Open a stream, dialling first where there is no connection."""

    async def hang_up(self, peer_id: str) -> None:
        """Close every connection to a peer. Never raises."""

    def direct_host(self, peer_id: str) -> str | None:
        """Return the IP address of a live connection that no relay carries, as the kernel tells it."""

    def connected(self) -> Sequence[str]:
        """PeerIDs with at least one live connection."""

    def relayed(self, peer_id: str) -> bool:
        """Whether we are connected to a peer through relays alone."""

    @property
    def claimed(self) -> tuple[str, ...]:
        """What the operator says leads here; without `/p2p/`."""

    @property
    def candidates(self) -> tuple[str, ...]:
        """Where our sockets listen, as this machine sees it; without `/p2p/`, nothing proved."""

    def present(self, announced: Sequence[str], predicted: Sequence[str] = ()) -> None:
        """Tell others to dial us at `announced` from now on; without `/p2p/`.

        Args:
            announced: addresses and circuits.
            predicted: where we expect to be met in hole punching.
        """

    async def ask_dial_back(self, peer_id: str, port: int) -> DialBack:
        """Let a peer that we are connected to directly try to reach us at `port` over a new connection.

        Raises:
            TransportError: it does not do that now, or went away.
        """

    def offer_relay(self, *, willing: bool) -> None:
        """Carry control traffic of peers that ask for a reservation, within bounds, or stop to."""

    async def reserve(self, relay: Contact) -> Reservation:
        """Ask a peer to let others reach us through it.

        Raises:
            DeclinedError: it does not offer that, or is full.
            TransportError: it cannot be reached, or does not answer.
        """

    async def join_table(self, run_id: bytes, known: Sequence[Contact], rules: RecordRules) -> None:
        """Enter the run's own DHT, through peers already known. Called once.

        Returns though nobody answers: a later `dial` or `open_stream` brings the first neighbour.
        """

    async def publish(self, value: bytes) -> None:
        """Store our own small signed record in the DHT under our PeerID."""

    async def look_up(self, peer_id: str) -> bytes | None:
        """Return the freshest record that the DHT holds for a peer, unchecked."""

    async def random_peers(self, count: int) -> Sequence[Contact]:
        """Return up to `count` peers near a random key: a draw from the whole run, not our neighbours."""

    def statistics(self) -> TransportStatistics:
        """Counters and gauges."""
