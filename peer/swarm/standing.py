"""What others have found when they tried to reach us, and what follows. Pure: no network, no clock."""

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address
from typing import TypeVar

from peer.swarm.transport import DialBack

T = TypeVar("T")

MOST_PROBERS = 16
"""Peers whose latest word counts. One may lie; the majority of sixteen that we have chosen hardly does."""

MOST_TRIED = 32
"""Addresses about which something is known."""


class Nat(StrEnum):
    """What stands between us and those who see us."""

    UNKNOWN = "unknown"
    NONE = "none"
    """They see an address of this machine."""
    PORT_PRESERVING = "port-preserving"
    """A router that keeps the port that a connection leaves from: hole punching works through it."""
    RANDOM_PORT = "random-port"
    """A router that gives each connection a port of its own ("symmetric"): hole punching does not."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How others reach us, as far as is known.

    Attributes:
        reachable: whether new connections reach us; None before anybody has tried.
        nat: what is in between.
        outside: the IP addresses that others see us at, one for each family.
        proved: addresses at which a new connection has reached us.
        refuted: addresses at which none has.
        needs_relay: in one of the families that others use, nobody reaches us.
    """

    reachable: bool | None = None
    nat: Nat = Nat.UNKNOWN
    outside: tuple[str, ...] = ()
    proved: tuple[str, ...] = ()
    refuted: tuple[str, ...] = ()
    needs_relay: bool = False


class Standing:
    """Collects what peers that dialled us back have found.

    Args:
        claimed: addresses that the operator says lead here.
        candidates: reads the addresses of our sockets, as this machine sees them.
    """

    def __init__(self, claimed: Sequence[str], candidates: Callable[[], Sequence[str]]) -> None:
        self._claimed = tuple(claimed)
        self._candidates = candidates
        self._seen: OrderedDict[str, DialBack] = OrderedDict()
        self._tried: OrderedDict[str, OrderedDict[str, bool]] = OrderedDict()
        self.mapped: str | None = None
        """The address that our router says it has mapped to us."""

    @property
    def probers(self) -> int:
        """Peers whose word counts now."""
        return len(self._seen)

    def ports(self) -> list[int]:
        """Return the ports to be tried from outside."""
        mapped = () if self.mapped is None else (self.mapped,)
        return list(dict.fromkeys(_port(each) for each in (*mapped, *self._claimed, *self._candidates())))

    def hidden_port(self) -> int | None:
        """Return the port that a router might lead to us: none where we have an address of the internet."""
        inside = [each for each in self._candidates() if _travels(each) and _family(each) == "ip4"]
        if not inside or any(_is_global(_host(each)) for each in inside):
            return None
        return _port(inside[0])

    def note(self, told: DialBack) -> None:
        """Take in what a peer has found; its word before counts no more."""
        _renew(self._seen, told.prober, told, MOST_PROBERS)
        results = self._tried.get(told.address, OrderedDict())
        _renew(results, told.prober, told.result == "reached", MOST_PROBERS)
        _renew(self._tried, told.address, results, MOST_TRIED)

    def verdict(self) -> Verdict:
        """Return what follows from all that."""
        outside = self._outside()
        tried = [each for each in self._tried if _host(each) in outside.values()]
        proved = tuple(each for each in self._tried if self._is_proved(each))
        reached = {_family(each) for each in tried if each in proved}
        return Verdict(
            reachable=bool(reached) if tried else None,
            nat=self._nat(outside),
            outside=tuple(outside.values()),
            proved=proved,
            refuted=tuple(each for each in self._tried if each not in proved),
            needs_relay=bool(set(outside) - reached),
        )

    def announced(self, circuits: Iterable[str] = ()) -> list[str]:
        """Return what to tell others: what is proved, what is not yet disproved, and the way round.

        Behind a router, an address of the network inside leads nowhere for who is not there, and perhaps to
        somebody else's printer; it is told once somebody inside has proved it.
        """
        verdict, own = self.verdict(), self._candidates()
        hosts = set(verdict.outside)
        proved = [each for each in verdict.proved if each in own or (_host(each) in hosts and _travels(each))]
        hopeful = list(self._claimed) if self.mapped is None else [*self._claimed, self.mapped]
        hidden = any(_is_global(host) for host in hosts) and verdict.nat is not Nat.NONE
        hopeful += [each for each in own if not hidden or _is_global(_host(each))]
        kept = [each for each in hopeful if each not in verdict.refuted]
        found = dict.fromkeys([*sorted(proved, key=lambda each: not _is_global(_host(each))), *kept])
        return [*found, *(circuits if verdict.needs_relay else ())]

    def predicted(self) -> list[str]:
        """Return where a peer that dials at the same moment as we should meet us; nothing if it would not."""
        verdict, own = self.verdict(), self._candidates()
        if verdict.nat not in (Nat.PORT_PRESERVING, Nat.NONE):
            return []
        outside = [
            f"/{_family(each)}/{host}/tcp/{_port(each)}"
            for host in verdict.outside
            for each in own
            if _family(each) == _family_of(host)
        ]
        return list(dict.fromkeys([*outside, *own]))

    def _is_proved(self, address: str) -> bool:
        results = list(self._tried[address].values())
        return any(results) and 2 * sum(results) >= len(results)

    def _outside(self) -> dict[str, str]:
        """Return by family where most see us; who sees us from the internet knows better than our network."""
        hosts = [_host(told.address) for told in self._seen.values()]
        widest = [host for host in hosts if _is_global(host)] or hosts
        found: dict[str, str] = {}
        for host, _ in Counter(widest).most_common():
            found.setdefault(_family_of(host), host)
        return found

    def _nat(self, outside: dict[str, str]) -> Nat:
        own = {_host(each) for each in self._candidates()}
        strange = [host for host in outside.values() if host not in own and not _is_loopback(host)]
        if not strange:
            return Nat.NONE if outside else Nat.UNKNOWN
        kept = [
            told.seen_port == told.own_port
            for told in self._seen.values()
            if told.own_port is not None and _host(told.address) in strange
        ]
        if not kept:
            return Nat.UNKNOWN
        return Nat.PORT_PRESERVING if 2 * sum(kept) > len(kept) else Nat.RANDOM_PORT


def _renew(kept: OrderedDict[str, T], key: str, value: T, most: int) -> None:
    kept.pop(key, None)
    kept[key] = value
    while len(kept) > most:
        kept.popitem(last=False)


# ---- addresses, of which only the parts matter: `/FAMILY/HOST/tcp/PORT`


def _family(address: str) -> str:
    return address.split("/")[1]


def _host(address: str) -> str:
    return address.split("/")[2]


def _port(address: str) -> int:
    parts = address.split("/")
    return int(parts[4]) if len(parts) > 4 and parts[3] == "tcp" else 1


def _family_of(host: str) -> str:
    try:
        return f"ip{ip_address(host).version}"
    except ValueError:
        return "memory"


def _is_global(host: str) -> bool:
    try:
        return ip_address(host).is_global
    except ValueError:
        return False


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _travels(address: str) -> bool:
    try:
        host = ip_address(_host(address))
    except ValueError:
        return True
    return not (host.is_loopback or host.is_link_local)
