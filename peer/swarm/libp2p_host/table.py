"""One run's DHT: find the other peers of the run, and hold small records for them."""

import secrets
from collections.abc import Sequence
from contextlib import suppress

import trio
from libp2p.custom_types import TProtocol
from libp2p.kad_dht.kad_dht import DHTMode, KadDHT
from libp2p.kad_dht.peer_routing import PeerRouting
from libp2p.kad_dht.routing_table import RoutingTable
from libp2p.peer.id import ID
from libp2p.peer.peerinfo import PeerInfo
from libp2p.peer.peerstore import PeerStoreError

from peer.swarm.libp2p_host.addresses import dialable
from peer.swarm.libp2p_host.host import GuardedHost
from peer.swarm.libp2p_host.limits import TableLimits
from peer.swarm.libp2p_host.questions import RunHost
from peer.swarm.libp2p_host.records import NoProviders, RecordStore, key_of, validator_of
from peer.swarm.transport import Contact, RecordRules, TransportError, bare

_NEAREST = 20
"""Peers that a lookup keeps: Kademlia's k."""


class _ProvedTable(RoutingTable):  # type: ignore[misc]
    """Holds peers that we are connected to at that moment and that answer.

    The stock table also takes whom others name, alive or not, and so the dead are named for ever. Drop when a
    libp2p release asks a peer before it adds it.
    """

    def __init__(self, host: GuardedHost, run: RunHost) -> None:
        super().__init__(host.get_id(), run, max_peers_per_subnet=0)  # many peers may share one address
        self._swarm = host.swarm
        self._run = run

    async def add_peer(self, peer_obj: PeerInfo | ID, *, skip_server_mode_check: bool = False) -> bool:
        """Add a peer, if it is there."""
        peer = peer_obj.peer_id if isinstance(peer_obj, PeerInfo) else peer_obj
        if self._run.is_banned(peer) or not self._swarm.live_connections(peer):
            return False
        return bool(await super().add_peer(peer_obj, skip_server_mode_check=skip_server_mode_check))


class RunTable:
    """Our node in the DHT of one run."""

    def __init__(self, host: GuardedHost, run_id: bytes, rules: RecordRules, limits: TableLimits) -> None:
        self._rules = rules
        self._limits = limits
        self._run = RunHost(host, TProtocol(f"/murmuration/{run_id.hex()[:32]}/kad/1.0.0"), limits)
        self._dht = KadDHT(
            self._run,
            DHTMode.SERVER,
            validator=validator_of(rules),
            validator_changed=True,
            strict_validation=True,
        )
        self._records = RecordStore(host=self._run, local_peer_id=host.get_id())
        self._table = _ProvedTable(host, self._run)
        self._dht.routing_table = self._table
        self._dht.peer_routing = PeerRouting(self._run, self._table)
        self._dht.value_store = self._records
        self._dht.provider_store = NoProviders(host=self._run, peer_routing=self._dht.peer_routing)
        self._run.on_answer = self._prove
        host.on_identified = self.meet
        self._run.on_silence = self._table.remove_peer
        self._own = host.get_id().to_base58()

    @property
    def size(self) -> int:
        """Peers in the routing table."""
        return int(self._table.size())

    @property
    def evictions(self) -> int:
        """Times that a peer was dropped from it for not answering."""
        return self._run.bans

    async def meet(self, peer: ID) -> None:
        """Add a connected peer to the routing table, which libp2p does not do by itself.

        Not one that is known to be outside the run; libp2p asks every peer for its protocols soon after they
        connect.
        """
        await self._table.add_peer(peer)

    async def walk(self) -> None:
        """Renew the routing table."""
        await self._dht.peer_routing.refresh_routing_table()

    async def maintain(self) -> None:
        """Renew the routing table and drop expired records, for ever."""
        while True:
            await trio.sleep(self._limits.refresh)
            with suppress(Exception):  # the next walk may do better
                await self.walk()
            self._records.cleanup_expired()

    async def publish(self, value: bytes) -> None:
        """Place our own record at the peers nearest to its key.

        Raises:
            TransportError: no other peer took it; libp2p itself never says so.
            ValueError: it breaks the rules, or is older than our last.
        """
        before = self._records.placed
        await self._dht.put_value(key_of(self._own), value)
        if self._records.placed == before:
            raise TransportError("no peer took our record")

    async def look_up(self, peer_id: str) -> bytes | None:
        """Return the newest record of a peer that anybody holds, ourselves included.

        Stock 0.8.1 returns the copy that we hold, old as it may be, without asking. So it is put aside
        meanwhile. Drop when a libp2p release asks.
        """
        key = key_of(peer_id).encode()
        held = self._records.store.pop(key, None)
        try:
            await self._dht.get_value(key_of(peer_id))
        finally:
            found = self._records.store.get(key)
            if held is not None and (found is None or self._is_newer(held[0].value, found[0].value)):
                self._records.store[key] = held
        best = self._records.get(key)
        return None if best is None else bytes(best.value)

    async def random_peers(self, count: int) -> list[Contact]:
        """Return up to `count` peers nearest to a random key.

        One whose addresses are not known comes without any: the record that it published has them.
        """
        nearest = await self._dht.peer_routing.find_closest_peers_network(
            secrets.token_bytes(32), max(count, _NEAREST)
        )
        contacts = (self._contact(peer) for peer in nearest if not self._run.is_banned(peer))
        return [contact for contact in contacts if contact.peer_id != self._own][:count]

    async def _prove(self, peer: ID) -> None:
        # What it said of its protocols may be older than its joining.
        await self._table.add_peer(peer, skip_server_mode_check=True)

    def _contact(self, peer: ID) -> Contact:
        try:
            known: Sequence[object] = self._run.get_peerstore().addrs(peer)
        except PeerStoreError:
            known = ()
        texts = (bare(str(address)) for address in known)
        return Contact(peer.to_base58(), tuple(str(address) for address in dialable(texts, names=False)))

    def _is_newer(self, one: bytes, other: bytes) -> bool:
        return self._rules.sequence(one) > self._rules.sequence(other)
