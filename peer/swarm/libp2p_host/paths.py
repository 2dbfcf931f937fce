"""What lies beneath a libp2p connection: a TCP connection with two ends, or a relay."""

from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Any, cast

from libp2p.abc import IMuxedConn, ISecureConn
from libp2p.connection_types import ConnectionType
from libp2p.network.connection.raw_connection import RawConnection

from peer.swarm.libp2p_host.addresses import Address


@dataclass(frozen=True, slots=True)
class Path:
    """A direct connection as this machine sees it.

    Attributes:
        remote: the other end: the peer, or the router that it is behind.
        local: our end.
        dialled: we opened it.
    """

    remote: Address
    local: Address
    dialled: bool


def raw_connection(muxed: IMuxedConn) -> RawConnection:
    """Return what carries a connection. libp2p has no method that leads there."""
    return carrier(cast("Any", muxed).secured_conn)


def carrier(secured: ISecureConn) -> RawConnection:
    """Return the same of a connection that has no streams yet."""
    return cast("RawConnection", cast("Any", secured).conn.read_writer.read_write_closer)


def is_relayed(muxed: IMuxedConn) -> bool:
    """Whether a relay carries the connection."""
    return through_relay(raw_connection(muxed))


def through_relay(raw: RawConnection) -> bool:
    """Whether a relay carries what lies beneath a connection."""
    return bool(raw.get_connection_type() == ConnectionType.RELAYED)


def path_of(muxed: IMuxedConn) -> Path | None:
    """Return the two ends of a direct connection; None where a relay carries it, or it has ended.

    libp2p's own `get_remote_address` knows no IPv6.
    """
    raw = raw_connection(muxed)
    if is_relayed(muxed):
        return None
    socket = cast("Any", raw.stream).stream.socket
    try:
        return Path(end(socket.getpeername()), end(socket.getsockname()), bool(raw.is_initiator))
    except OSError:
        return None


def end(name: tuple[Any, ...]) -> Address:
    """Return one end of a socket. An IPv4 address that IPv6 wraps is what it stands for."""
    address = ip_address(str(name[0]).partition("%")[0])
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return Address(f"ip{address.version}", str(address), int(name[1]))
