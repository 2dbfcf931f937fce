"""Addresses as text, parsed without trusting them.

Direct ones are `/ip4|ip6|dns|dns4|dns6/HOST/tcp/PORT`. A circuit through a relay is the relay's own address,
`/p2p/`, its PeerID and `/p2p-circuit`. `/p2p/` and the PeerID of the peer itself may follow either.
"""

import re
import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from peer.errors import UsageError
from peer.swarm.transport import TransportError, bare
from protocol.errors import ProtocolError
from protocol.identity import public_key_of
from protocol.limits import MAX_ADDRESS, MAX_ADDRESSES

_FAMILIES = {
    "ip4": socket.AF_INET,
    "ip6": socket.AF_INET6,
    "dns4": socket.AF_INET,
    "dns6": socket.AF_INET6,
    "dns": socket.AF_UNSPEC,
}
_NAME = re.compile(r"[A-Za-z0-9_.-]+")
_PEER_ID = re.compile(r"[1-9A-HJ-NP-Za-km-z]{20,64}")
_CIRCUIT = "/p2p-circuit"


@dataclass(frozen=True, slots=True)
class Address:
    """A TCP endpoint. `family` is the first word of its text form: ip4, ip6, dns, dns4, dns6."""

    family: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"/{self.family}/{self.host}/tcp/{self.port}"

    @property
    def named(self) -> bool:
        """Whether `host` is a name, to be looked up."""
        return self.family.startswith("dns")

    @property
    def socket_family(self) -> socket.AddressFamily:
        """What to ask the resolver and the kernel for."""
        return _FAMILIES[self.family]


@dataclass(frozen=True, slots=True)
class Circuit:
    """The way to a peer that has a reservation with a relay."""

    relay: Address
    relay_id: str

    def __str__(self) -> str:
        return f"{self.relay}/p2p/{self.relay_id}{_CIRCUIT}"


Route = Address | Circuit


def parse_route(text: str) -> Route:
    """Parse an address or a circuit, without the `/p2p/` of the peer that it leads to.

    Raises:
        ValueError: saying what is wrong with it.
    """
    if not text.endswith(_CIRCUIT) or len(text) > MAX_ADDRESS:
        return parse(text)
    relay, _, relay_id = text.removesuffix(_CIRCUIT).partition("/p2p/")
    if not _PEER_ID.fullmatch(relay_id):
        raise ValueError(f"{relay_id!r} is no PeerID, in {text!r}")
    return Circuit(parse(relay), relay_id)


def parse(text: str) -> Address:
    """Parse an address without `/p2p/`.

    Raises:
        ValueError: saying what is wrong with it.
    """
    parts = text.split("/") if len(text) <= MAX_ADDRESS else []
    if len(parts) != 5 or parts[0] or parts[1] not in _FAMILIES or parts[3] != "tcp" or not parts[2]:
        raise ValueError(f"{text[:MAX_ADDRESS]!r} is not of the form /ip4/HOST/tcp/PORT")
    _, family, host, _, port = parts
    if not (port.isascii() and port.isdecimal() and int(port) < 65536):
        raise ValueError(f"{port!r} is no port, in {text!r}")
    if family.startswith("dns"):
        well_formed = _NAME.fullmatch(host) is not None
    else:
        well_formed = "%" not in host and ip_address(host).version == int(family[-1])
    if not well_formed:
        raise ValueError(f"{host!r} is no {family} address, in {text!r}")
    return Address(family, host, int(port))


def hosts_of(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the hosts of addresses that are known to be well-formed, each once."""
    return tuple(dict.fromkeys(parse(text).host for text in texts))


def parse_full(text: str) -> tuple[Route, str]:
    """Parse an address that ends in `/p2p/PEERID`, and return both.

    Raises:
        TransportError: saying what is wrong with it.
    """
    endpoint, separator, peer_id = text.rpartition("/p2p/")
    if not separator or not peer_id or bare(text) == text:
        raise TransportError(f"{text[:MAX_ADDRESS]!r} does not end in /p2p/ and a PeerID")
    try:
        return parse_route(endpoint), peer_id
    except ValueError as error:
        raise TransportError(str(error)) from error


def check_bootstraps(texts: Iterable[str]) -> None:
    """See that each is the full address of a peer.

    Raises:
        UsageError: one is not.
    """
    for text in texts:
        try:
            _, peer_id = parse_full(text)
            public_key_of(peer_id)
        except (TransportError, ProtocolError) as error:
            raise UsageError(
                f"--bootstrap {text[:MAX_ADDRESS]} is no address of a peer: {error}",
                "Copy what the other peer's `peer start` printed: /ip4/HOST/tcp/PORT/p2p/12D3KooW...",
            ) from error


def dialable(texts: Iterable[str], *, names: bool) -> list[Route]:
    """Return what of `texts` can be dialled, at most MAX_ADDRESSES, and drop the rest silently.

    Args:
        texts: claims of a stranger.
        names: whether to keep addresses that must be looked up.
    """
    kept: dict[Route, None] = {}
    for text in texts:
        try:
            route = parse_route(text)
        except ValueError:
            continue
        address = route.relay if isinstance(route, Circuit) else route
        if address.port and (names if address.named else _is_somewhere(address.host)):
            kept[route] = None
        if len(kept) == MAX_ADDRESSES:
            break
    return list(kept)


def announced(
    listening: Iterable[str], interfaces: Callable[[int], Sequence[str]], *, loopback: bool
) -> list[Address]:
    """Return where others can dial us.

    libp2p itself announces literally 0.0.0.0. Drop when a libp2p release expands it.

    Args:
        listening: the addresses of our sockets, ports resolved.
        interfaces: the addresses of this machine of IP version 4 or 6.
        loopback: whether to announce loopback where 0.0.0.0 or :: includes it. A socket that listens on
            loopback alone is announced in any case: somebody asked for it.
    """
    found: dict[Address, None] = {}
    for text in listening:
        bound = parse(text)
        if not ip_address(bound.host).is_unspecified:
            found[bound] = None
            continue
        hosts = [host for host in interfaces(int(bound.family[-1])) if _is_public_side(host)]
        if loopback:
            hosts.append("127.0.0.1" if bound.family == "ip4" else "::1")
        for host in hosts:
            found[Address(bound.family, host, bound.port)] = None
    return list(found)[:MAX_ADDRESSES]


def _is_somewhere(host: str) -> bool:
    address = ip_address(host)
    return not (address.is_unspecified or address.is_multicast)


def _is_public_side(host: str) -> bool:
    # A link-local address needs the name of an interface, which means nothing to another machine.
    address = ip_address(host)
    return not (address.is_loopback or address.is_link_local)
