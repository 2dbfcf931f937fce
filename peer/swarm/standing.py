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

LASTING = 600.0
"""Seconds by which a word may be older than the newest: two rounds of asking. Addresses change hands."""

ENOUGH = 2
"""Peers that must have reached an address outside, or agree on a new one: one may lie."""


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


@dataclass(frozen=True, slots=True)
class _Word:
    """What a peer found last, and when."""

    at: float
    told: DialBack


@dataclass(frozen=True, slots=True)
class _Try:
    """Whether a peer reached an address when it tried last, and when that was."""

    at: float
    reached: bool


class Standing:
    """Collects what peers that dialled us back have found.

    Args:
        claimed: addresses that the operator says lead here.
        candidates: reads the addresses of our sockets, as this machine sees them.
    """

    def __init__(self, claimed: Sequence[str], candidates: Callable[[], Sequence[str]]) -> None:
        self._claimed = tuple(claimed)
        self._candidates = candidates
        self._seen: OrderedDict[str, _Word] = OrderedDict()
        self._tried: OrderedDict[str, OrderedDict[str, _Try]] = OrderedDict()
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

    def note(self, told: DialBack, at: float = 0.0) -> bool:
        """Take in what a peer has found; its word before counts no more.

        Args:
            told: what it has found.
            at: when, in seconds of any clock.

        Returns:
            whether our address may have changed: it sees us at another one of the internet than most do, and
            than it did.
        """
        moved = self._differs(told)
        _renew(self._seen, told.prober, _Word(at, told), MOST_PROBERS)
        results = self._tried.get(told.address, OrderedDict())
        _renew(results, told.prober, _Try(at, told.result == "reached"), MOST_PROBERS)
        _renew(self._tried, told.address, results, MOST_TRIED)
        self._forget(lambda _, when: when < at - LASTING)
        self._give_up_former(told.address)
        return moved

    def _differs(self, told: DialBack) -> bool:
        host, former = _host(told.address), self._seen.get(told.prober)
        known = self._outside().get(_family_of(host), host)
        repeats = former is not None and _host(former.told.address) == host
        return _is_global(host) and _is_global(known) and host != known and not repeats

    def _give_up_former(self, address: str) -> None:
        """Forget words for another host of the family that are older than those of all who agree on this."""
        host, family = _host(address), _family(address)
        agreeing = [word.at for word in self._seen.values() if _host(word.told.address) == host]
        if len(agreeing) < ENOUGH or not _is_global(host):
            return
        since = min(agreeing)

        def is_former(other: str, when: float) -> bool:
            elsewhere = _family(other) == family and _host(other) != host
            return elsewhere and _is_global(_host(other)) and when < since

        self._forget(is_former)

    def _forget(self, outdated: Callable[[str, float], bool]) -> None:
        """Forget the words of which that is true, by the address that they are about and their time."""
        for prober, word in list(self._seen.items()):
            if outdated(word.told.address, word.at):
                del self._seen[prober]
        for address, results in list(self._tried.items()):
            for prober, tried in list(results.items()):
                if outdated(address, tried.at):
                    del results[prober]
            if not results:
                del self._tried[address]

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
            refuted=tuple(each for each in self._tried if not self._is_reached(each)),
            needs_relay=bool(set(outside) - reached),
        )

    def announced(self, circuits: Iterable[str] = ()) -> list[str]:
        """Return what to tell others: what is proved, what is not yet disproved, and the way round.

        Behind a router, an address of the network inside leads nowhere for who is not there, and perhaps to
        somebody else's printer; it is told once somebody inside has proved it. An operator who says where we
        are to be reached is believed that there is one.
        """
        verdict, own = self.verdict(), self._candidates()
        hosts = set(verdict.outside)
        proved = [each for each in verdict.proved if each in own or (_host(each) in hosts and _travels(each))]
        hopeful = list(self._claimed) if self.mapped is None else [*self._claimed, self.mapped]
        outside = any(_is_global(host) for host in hosts) and verdict.nat is not Nat.NONE
        hidden = outside or bool(self._claimed)
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

    def _is_reached(self, address: str) -> bool:
        results = [tried.reached for tried in self._tried[address].values()]
        return any(results) and 2 * sum(results) >= len(results)

    def _is_proved(self, address: str) -> bool:
        """Whether it may be announced: a single peer that says where we are may have us announce a stranger.

        It is believed where nobody says otherwise, for in a small swarm there may be nobody else.
        """
        if not self._is_reached(address):
            return False
        reached = sum(tried.reached for tried in self._tried[address].values())
        alone = {host for host in self._widest() if _family_of(host) == _family_of(_host(address))}
        if reached >= ENOUGH or alone <= {_host(address)}:
            return True
        return _host(address) in {_host(each) for each in self._candidates()}

    def _widest(self) -> list[str]:
        """Return where we are seen; who sees us from the internet knows better than our network."""
        hosts = [_host(word.told.address) for word in self._seen.values()]
        return [host for host in hosts if _is_global(host)] or hosts

    def _outside(self) -> dict[str, str]:
        """Return by family where most see us."""
        found: dict[str, str] = {}
        for host, _ in Counter(self._widest()).most_common():
            found.setdefault(_family_of(host), host)
        return found

    def _nat(self, outside: dict[str, str]) -> Nat:
        own = {_host(each) for each in self._candidates()}
        strange = [host for host in outside.values() if host not in own and not _is_loopback(host)]
        if not strange:
            return Nat.NONE if outside else Nat.UNKNOWN
        kept = [
            word.told.seen_port == word.told.own_port
            for word in self._seen.values()
            if word.told.own_port is not None and _host(word.told.address) in strange
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
