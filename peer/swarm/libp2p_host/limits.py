"""The bounds of one host. The defaults suit the internet; tests make them small."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Bounds on connections and streams. Times are in seconds."""

    connections: int = 256
    """Live connections, and inbound ones that have not yet proved who they are."""
    handshakes_per_host: int = 32
    """Of the latter, those from one IPv4 address or one IPv6 /64."""
    handshake: float = 5.0
    """For a peer to prove who it is; also for it to name the protocol of a stream that it opened."""
    dial: float = 10.0
    """For a whole dial, over all addresses; also for a peer to accept a stream that we opened."""
    streams: int = 1024
    """Inbound streams served at once."""
    streams_per_peer: int = 64
    ping_every: float = 10.0
    ping_within: float = 10.0
    """A connection whose ping has no answer by then is dead."""


@dataclass(frozen=True, slots=True)
class TableLimits:
    """Bounds on the DHT. Times are in seconds."""

    answer: float = 3.0
    """For one question to one peer, the dial included."""
    ban: float = 60.0
    """How long a peer that did not answer is left alone."""
    refresh: float = 120.0
    """Between two walks that renew the routing table."""


@dataclass(frozen=True, slots=True)
class RelayLimits:
    """What a peer that others can dial gives to those that they cannot. Times are in seconds."""

    reservations: int = 32
    reserved_for: float = 1800.0
    circuits: int = 32
    """Open at once."""
    circuits_per_peer: int = 4
    """Of them, those that one peer has opened, and those that lead to one."""
    circuit_seconds: float = 3600.0
    circuit_bytes: int = 256 << 20
    """Of one circuit, both directions: control for hours, or some exchanges of a small codec."""
