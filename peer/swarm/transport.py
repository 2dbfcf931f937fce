"""The small interface behind which a network lies: libp2p in the daemon, memory in tests."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol


class TransportError(Exception):
    """A peer could not be reached, or went away. Costs a counter, never more."""


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
