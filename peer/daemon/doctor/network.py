"""What the doctor looks at on the way to the swarm: reach, bandwidth, clock and DHT."""

from collections.abc import Sequence
from contextlib import suppress
from statistics import median

import trio

from peer.daemon.doctor.findings import Finding, Level, Number, found, well
from peer.swarm.calls import RefusedError
from peer.swarm.measuring import Measured, measure
from peer.swarm.reachability import PortMapper
from peer.swarm.share_sizes import ShareSizes
from peer.swarm.standing import Nat, Standing, Verdict
from peer.swarm.stored import StoredRecords, open_stored
from peer.swarm.transport import Contact, Transport, TransportError
from peer.telemetry.format import format_bytes, format_seconds
from protocol.errors import ProtocolError
from protocol.manifest import Manifest

PROBERS = 3
DRAWN = 8
PATIENCE = 20.0
"""Seconds for any one question to a peer."""

CLOCK_LIMIT = 30.0
"""Seconds: logs of several machines are hard to read beyond it."""

LONGEST_EXCHANGE = 60.0
"""Seconds for one exchange in the smallest codec beyond which most would be skipped."""

SMALLEST_BITS = 3


class Visit:
    """Talks to the peers of a run without belonging to it: nobody gets a record, nobody mixes with it."""

    def __init__(self, transport: Transport, run_id: bytes, manifest: Manifest) -> None:
        self._transport = transport
        self._run_id = run_id
        self._manifest = manifest

    async def look(self, bootstraps: Sequence[Contact], mapper: PortMapper | None) -> list[Finding]:
        """Return everything that was found."""
        others, dht = await self._find_others(bootstraps)
        near = [contact for contact in others if contact.peer_id in self._transport.connected()]
        standing = Standing(self._transport.claimed, lambda: self._transport.candidates)
        await self._test(standing, near)
        if mapper is not None and standing.verdict().reachable is False:
            await self._try_router(standing, near, mapper)
        ways = await self._measure(near)
        return [
            *look_at_reach(standing, near),
            *await self._look_at_relays(standing.verdict(), near),
            *look_at_ways(ways, self._manifest),
            dht,
        ]

    async def _find_others(self, bootstraps: Sequence[Contact]) -> tuple[list[Contact], Finding]:
        known = list(bootstraps)
        drawn: Sequence[Contact] = ()
        with suppress(TransportError), trio.move_on_after(PATIENCE):
            await self._transport.join_table(self._run_id, known, StoredRecords(self._run_id))
            drawn = await self._transport.random_peers(DRAWN)
        for contact in drawn:
            if contact.peer_id not in {each.peer_id for each in known} and len(known) < PROBERS:
                known.append(await self._connect(contact))
        return known, look_at_dht(len(drawn), len(bootstraps))

    async def _connect(self, contact: Contact) -> Contact:
        with suppress(TransportError, ProtocolError), trio.move_on_after(PATIENCE):
            if not contact.addresses:
                stored = await self._transport.look_up(contact.peer_id)
                contact = Contact(contact.peer_id, open_stored(stored or b"", self._run_id).addresses)
            for address in contact.addresses:
                with suppress(TransportError):
                    await self._transport.dial(f"{address}/p2p/{contact.peer_id}")
                    break
        return contact

    async def _test(self, standing: Standing, near: Sequence[Contact]) -> None:
        for contact in near:
            for port in standing.ports():
                with suppress(TransportError), trio.move_on_after(PATIENCE):
                    standing.note(await self._transport.ask_dial_back(contact.peer_id, port))

    async def _try_router(self, standing: Standing, near: Sequence[Contact], mapper: PortMapper) -> None:
        port = standing.hidden_port()
        if port is None:
            return
        try:
            standing.mapped = await mapper.open(port)
            if standing.mapped is not None:
                await self._test(standing, near)
        finally:
            await mapper.close()

    async def _look_at_relays(self, verdict: Verdict, near: Sequence[Contact]) -> list[Finding]:
        if not verdict.needs_relay:
            return []
        for contact in near:
            with suppress(TransportError), trio.move_on_after(PATIENCE):
                await self._transport.reserve(contact)
                return [well("relay", f"{contact.peer_id} lets others reach this peer through it")]
        return [
            found(
                "relay",
                Number.NO_RELAY,
                "warning",
                f"none of {len(near)} peers is a relay with a free place",
            )
        ]

    async def _measure(self, near: Sequence[Contact]) -> list[Measured]:
        ways: list[Measured] = []
        for contact in near:
            with suppress(TransportError, ProtocolError, RefusedError), trio.move_on_after(PATIENCE):
                ways.append(await measure(self._transport, contact, self._run_id))
        return ways


def look_at_dht(drawn: int, bootstraps: int) -> Finding:
    """Judge what a look-up in the run's DHT has brought."""
    if drawn:
        return well("dht", f"a look-up finds {drawn} of the run's peers")
    level: Level = "note" if bootstraps else "warning"
    return found("dht", Number.NOBODY_ELSE, level, "a look-up names nobody")


def look_at_reach(standing: Standing, near: Sequence[Contact]) -> list[Finding]:
    """Judge what dial-back has told."""
    verdict = standing.verdict()
    outside = " and ".join(verdict.outside)
    if verdict.reachable is None:
        said = f"none of {len(near)} peers has tried to reach this one"
        return [found("dial-back", Number.UNTESTED, "warning", said)]
    nat = well("nat", f"{_NATS[verdict.nat]}; others see {outside}")
    if verdict.reachable:
        addresses = ", ".join(standing.announced())
        return [well("dial-back", f"new connections reach this peer at {addresses}"), nat]
    return [_unreached(verdict), nat]


_NATS = {
    Nat.NONE: "no router changes our address",
    Nat.PORT_PRESERVING: "a router that keeps ports: hole punching works",
    Nat.RANDOM_PORT: "a router that gives every connection a random port: hole punching does not work",
    Nat.UNKNOWN: "a router of a kind that is not known",
}


def _unreached(verdict: Verdict) -> Finding:
    said = f"new connections to {', '.join(verdict.refuted)} do not reach this peer"
    port = verdict.refuted[0].rpartition("/")[2]
    forward = f"peer start --listen /ip4/0.0.0.0/tcp/{port}, after forwarding TCP {port} to this machine"
    match verdict.nat:
        case Nat.NONE:
            mend = f"sudo ufw allow {port}/tcp (or your firewall's word for it)"
            return found("dial-back", Number.BLOCKED, "warning", said, mend=mend)
        case Nat.RANDOM_PORT:
            return found("dial-back", Number.RANDOM_PORTS, "warning", said, mend=forward)
        case Nat.PORT_PRESERVING:
            return found("dial-back", Number.BEHIND_ROUTER, "note", said, mend=forward)
        case Nat.UNKNOWN:
            return found("dial-back", Number.BEHIND_ROUTER, "warning", said, mend=forward)


def look_at_ways(ways: Sequence[Measured], manifest: Manifest) -> list[Finding]:
    """Judge rates and clocks: the median of the peers'."""
    if not ways:
        return [found("bandwidth", Number.UNMEASURED, "warning", "no peer could be measured")]
    down, up = median(way.down for way in ways), median(way.up for way in ways)
    trip = median(way.round_trip for way in ways)
    sizes = ShareSizes(manifest)
    size = sum(sizes.encoded(part, "modulo", SMALLEST_BITS) for part in range(sizes.fragments))
    seconds = max(size / up, size / down)
    said = (
        f"{format_bytes(int(down))}/s down, {format_bytes(int(up))}/s up, {1000 * trip:.0f} ms; the smallest "
        f"exchange of the whole model is {format_bytes(size)} each way, {format_seconds(seconds)}"
    )
    found_ways = [well("bandwidth", said)]
    if seconds > LONGEST_EXCHANGE:
        found_ways = [found("bandwidth", Number.SLOW, "warning", said)]
    ahead = median(way.clock_ahead for way in ways)
    return [look_at_clock(ahead), *found_ways]


def look_at_clock(ahead: float) -> Finding:
    """Judge how far the clocks of others are ahead of ours."""
    how = "behind" if ahead > 0 else "ahead of"
    said = f"this clock is {abs(ahead):.1f} s {how} the others'"
    if abs(ahead) <= CLOCK_LIMIT:
        return well("clock", said)
    return found("clock", Number.CLOCK, "warning", said)
