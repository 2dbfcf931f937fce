"""Where callers come from, as far as one host is told from another."""

from ipaddress import IPv6Address, ip_address

import trio


def origin_of(host: str) -> str:
    """Return what stands for one host in our counts: its IPv4 address, or its IPv6 /64.

    Raises:
        ValueError: it is no IP address.
    """
    address = ip_address(host)
    if isinstance(address, IPv6Address):
        return address.exploded[:19] if address.ipv4_mapped is None else str(address.ipv4_mapped)
    return str(address)


def origin_of_stream(stream: trio.SocketStream) -> str:
    """Return the same for the other end of a connection; all whose end is not known are one."""
    try:
        return origin_of(stream.socket.getpeername()[0].partition("%")[0])
    except (OSError, ValueError):
        return "unknown"
