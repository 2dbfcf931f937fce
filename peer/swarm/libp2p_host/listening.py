"""The addresses to listen on and to announce, checked before libp2p sees them: it would only log failures."""

import errno
import socket
from collections.abc import Sequence
from ipaddress import ip_address

from peer.errors import ListenError
from peer.swarm.libp2p_host.addresses import Address, parse

_REMEDIES = {
    errno.EADDRINUSE: "Stop the program that holds this port, or choose another; port 0 takes a free one",
    errno.EADDRNOTAVAIL: "Use an address of this machine, or 0.0.0.0 for all of them",
    errno.EACCES: "Choose a port above 1023",
}


def listenable(texts: Sequence[str]) -> list[Address]:
    """Return the addresses to listen on, each of which could be bound a moment ago.

    Raises:
        ListenError: one is malformed or cannot be bound.
    """
    if not texts:
        raise ListenError("there is no address to listen on", "Give one, such as /ip4/0.0.0.0/tcp/4001")
    found = [_parsed(text) for text in texts]
    for address in found:
        _try(address)
    return found


def announceable(texts: Sequence[str]) -> list[Address]:
    """Return addresses that the caller knows to lead here, such as a router's with its port forwarded.

    Raises:
        ListenError: one is malformed, or leads nowhere.
    """
    found = [_parsed(text, "announce") for text in texts]
    for address in found:
        if not address.port or ip_address(address.host).is_unspecified:
            raise ListenError(
                f"cannot announce {address}: it leads nowhere", "Give the public address and port"
            )
    return found


def _parsed(text: str, purpose: str = "listen on") -> Address:
    try:
        address = parse(text)
    except ValueError as error:
        raise ListenError(
            f"cannot {purpose} {text!r}: {error}", "Write it like /ip4/0.0.0.0/tcp/4001 or /ip6/::/tcp/4001"
        ) from error
    if address.named:
        raise ListenError(f"cannot {purpose} {text!r}: it is a name", "Give an IP address")
    return address


def _try(address: Address) -> None:
    # libp2p's own socket sets SO_REUSEPORT, so that two daemons would share one port without a word. This
    # one does not, and so finds the other.
    with socket.socket(address.socket_family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address.host, address.port))
            probe.listen(1)
        except OSError as error:
            remedy = _REMEDIES.get(error.errno or 0, "Choose another address")
            raise ListenError(f"cannot listen on {address}: {error.strerror}", remedy) from error
