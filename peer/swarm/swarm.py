"""One peer's whole network side: puts the parts together and runs them."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import trio

from peer.swarm.discovery import Discovery, DiscoveryStatistics
from peer.swarm.exchange import Exchanger, ExchangeStatistics, Outcome
from peer.swarm.learner import Learner
from peer.swarm.matchmaker import Matchmaker, MatchStatistics
from peer.swarm.membership import Membership
from peer.swarm.objects import ObjectStore
from peer.swarm.pairing import OwnShare, Pairing
from peer.swarm.pull import PieceServer
from peer.swarm.service import Reply, Service, ServiceStatistics
from peer.swarm.state_sync import Donor, StateStatistics
from peer.swarm.transport import Contact, Transport, TransportStatistics
from peer.swarm.view import View, ViewStatistics
from protocol import messages, sizes
from protocol.identity import Identity
from protocol.manifest import Manifest, SignedManifest, differences, open_manifest


class Observer(Protocol):
    """Is told what happens; writes it to the event log."""

    def exchange_ended(self, outcome: Outcome) -> None:
        """Hear that an exchange was done, refused, or failed."""

    def skipped(self, outer_step: int, reason: str) -> None:
        """Hear of an outer step whose mix never came."""

    def peer_changed(self, peer_id: str, what: str) -> None:
        """Hear that a peer was seen, or went (`goodbye`, `silent`)."""

    def manifest_refused(self, peer_id: str, fields: list[str]) -> None:
        """Hear of a stranger with another manifest."""

    def state_served(self, peer_id: str, size: int) -> None:
        """Hear that a newcomer was promised our state of `size` bytes."""


@dataclass(frozen=True, slots=True)
class SwarmStatistics:
    """Everything that the network side counts."""

    view: ViewStatistics
    match: MatchStatistics
    exchange: ExchangeStatistics
    discovery: DiscoveryStatistics
    service: ServiceStatistics
    state: StateStatistics | None
    transport: TransportStatistics
    bulk_bytes_out: int


@dataclass(frozen=True, slots=True)
class Run:
    """The run that a peer belongs to, and how it came there."""

    sealed: SignedManifest
    manifest: Manifest
    bootstraps: tuple[str, ...] = ()
    cached: Callable[[], Sequence[Contact]] = tuple
    """Reads the peers that were met before, the last seen first."""

    @property
    def run_id(self) -> bytes:
        """SHA-256 of the manifest."""
        return self.sealed.run_id


class Swarm:
    """The network side of one peer in one run.

    `run` serves and seeks until cancelled. Feed it with `new_share`; it feeds the learner.
    """

    def __init__(
        self,
        transport: Transport,
        identity: Identity,
        run: Run,
        learner: Learner,
        store: ObjectStore,
        observer: Observer,
        *,
        rng: random.Random | None = None,
    ) -> None:
        self._transport = transport
        self._run = run
        self._learner = learner
        self.store = store
        self._observer = observer
        run_id, outer = run.run_id, run.manifest.outer
        # One source of chance for all parts, so that a simulation can be run again from its seed.
        self._rng = rng or random.Random()
        self.view = View(identity.peer_id, run_id, rng=self._rng)
        self.view.on_change(observer.peer_changed)
        self.membership = Membership(transport, identity, run_id, self.view, rng=self._rng)
        self._discovery = Discovery(
            transport,
            run_id,
            self.view,
            self.membership,
            bootstraps=run.bootstraps,
            cached=run.cached,
            rng=self._rng,
        )
        self.pairing = Pairing(identity.peer_id, decodes=run.manifest.codecs)
        self.pairing.largest_share = sizes.largest_share(run.manifest)
        self._pieces = PieceServer(store)
        self._exchanger = Exchanger(transport, run_id, store, self._pieces, learner, observer.exchange_ended)
        self._matchmaker = Matchmaker(
            transport,
            run_id,
            self.view,
            self.pairing,
            self._exchanger,
            learner,
            waits=not outer.overlap,
            on_skip=observer.skipped,
        )
        self.service = Service(run_id)
        self._donor: Donor | None = None
        self.serving = trio.Event()
        """Set once calls are answered."""
        self._previous: list[messages.ObjectRef] = []

    async def run(self) -> None:
        """Serve, find peers and line up with them until cancelled."""
        async with trio.open_nursery() as nursery:
            self._donor = Donor(self.store, self._learner, nursery, self._observer.state_served)
            self._serve(self._donor)
            self._transport.handle(messages.STREAM_PROTOCOL, self.service.handle)
            self.serving.set()
            nursery.start_soon(self.membership.run)
            nursery.start_soon(self._discovery.run)
            nursery.start_soon(self._matchmaker.run)

    def _serve(self, donor: Donor) -> None:
        serve = self.service.serve
        serve(messages.AskManifest, self._serve_manifest)
        serve(messages.AskPeers, self.membership.serve_peers)
        serve(messages.Goodbye, self.membership.serve_goodbye)
        serve(messages.AskState, donor.serve)
        serve(messages.Offer, self._matchmaker.serve_offer)
        serve(messages.Confirm, self._matchmaker.serve_confirm)
        serve(messages.Settle, self._matchmaker.serve_settle)
        serve(messages.Abandon, self._matchmaker.serve_abandon)
        serve(messages.Pull, self._pieces.serve)

    async def _serve_manifest(self, caller: str, call: messages.AskManifest) -> Reply:
        if call.mine is not None and call.mine.run_id != self._run.run_id:
            fields = differences(self._run.manifest, open_manifest(call.mine))
            self._observer.manifest_refused(caller, fields)
        return messages.ManifestIs(manifest=self._run.sealed)

    async def find_peers(self) -> bool:
        """Greet bootstraps and cached peers once; return whether any is in view now."""
        await self._discovery.bootstrap()
        return bool(self.view.live())

    def new_share(self, share: OwnShare, file: str) -> None:
        """Offer this share, which lies in `file` of the spool, from now on."""
        self.store.add(share.ref, file)
        self._previous.append(share.ref)
        # The share before this one may be on its way to a partner that has just been promised it.
        while len(self._previous) > 2:
            self._retire(self._previous.pop(0))
        self.pairing.new_share(share)

    def _retire(self, ref: messages.ObjectRef) -> None:
        if ref not in self._previous:
            self.store.retire(ref.sha256)

    def free_shard(self, shards: int) -> int:
        """Return a shard of the data that no known peer reads, or any where all are taken."""
        taken = self.view.shards()
        free = [shard for shard in range(shards) if shard not in taken]
        return self._rng.choice(free or range(shards))

    async def leave(self) -> None:
        """Say goodbye to the peers in view, and begin nothing new with anybody."""
        for kind in (messages.AskPeers, messages.AskState, messages.Offer):
            self.service.serve(kind, _refuse_leaving)
        await self.membership.say_goodbye()

    def statistics(self) -> SwarmStatistics:
        """Everything that the parts count."""
        return SwarmStatistics(
            view=self.view.statistics(),
            match=self._matchmaker.statistics(),
            exchange=self._exchanger.statistics(),
            discovery=self._discovery.statistics(),
            service=self.service.statistics(),
            state=self._donor.statistics() if self._donor else None,
            transport=self._transport.statistics(),
            bulk_bytes_out=self._pieces.bytes_out,
        )


async def _refuse_leaving(caller: str, call: object) -> Reply:
    del caller, call
    return messages.Refused(reason="I am leaving")
