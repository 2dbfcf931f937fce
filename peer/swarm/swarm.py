"""One peer's whole network side: puts the parts together and runs them."""

import random
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import trio

from peer.swarm.behind import Behind
from peer.swarm.bulk import BulkStatistics
from peer.swarm.choice import ON_DEMAND, decodable
from peer.swarm.chooser import Chooser
from peer.swarm.deadline import AdaptiveDeadline
from peer.swarm.discovery import Discovery, DiscoveryStatistics
from peer.swarm.donor import Donor, StateStatistics
from peer.swarm.engagement import OwnShare
from peer.swarm.exchange import Exchanger, ExchangeStatistics, Outcome
from peer.swarm.fetcher import Fetcher
from peer.swarm.gatherer import Gatherer
from peer.swarm.horizon import HorizonStatistics, Split
from peer.swarm.learner import Learner
from peer.swarm.line import Line
from peer.swarm.links import LinkStatistics, links
from peer.swarm.matchmaker import Matchmaker, MatchStatistics
from peer.swarm.measuring import MeasureServer
from peer.swarm.membership import Membership
from peer.swarm.objects import ObjectStore
from peer.swarm.pairing import KEPT, Pairing
from peer.swarm.part_fetcher import PartFetcher
from peer.swarm.partner_calls import PartnerCalls
from peer.swarm.pieces import PieceServer
from peer.swarm.pull import Puller, PullStatistics
from peer.swarm.reachability import PortMapper, Reachability, ReachStatistics
from peer.swarm.reader import Reader
from peer.swarm.reducer import Reducer
from peer.swarm.reduction import Tools
from peer.swarm.refusals import TOO_FAR, kind_of
from peer.swarm.resting import Resting
from peer.swarm.service import Reply, Service, ServiceStatistics
from peer.swarm.share_sizes import ShareSizes
from peer.swarm.transfers import Transfers
from peer.swarm.transport import Contact, Transport, TransportStatistics
from peer.swarm.view import View, ViewStatistics
from peer.swarm.writer import Writer
from protocol import messages
from protocol.bulk_calls import AskLanes
from protocol.group_calls import Invite, Ready
from protocol.identity import Identity
from protocol.manifest import Manifest, SignedManifest, differences, open_manifest
from protocol.rules import PAIR


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

    def split_noticed(self, split: Split) -> None:
        """Hear that a peer belongs to another half of the run, which did not know ours."""

    def reach_changed(self, reach: ReachStatistics) -> None:
        """Hear that others reach us in another way than before, or that it is known now."""


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
    pulls: PullStatistics
    bulk: BulkStatistics | None
    """None where bulk goes over streams alone."""
    bulk_bytes_out: int
    horizon: HorizonStatistics = field(default_factory=HorizonStatistics)
    reach: ReachStatistics = field(default_factory=ReachStatistics)


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


@dataclass(frozen=True, slots=True)
class Ladder:
    """What a peer does so that others reach it, and it helps them to be reached."""

    volunteers: bool = True
    """Be a relay for those who cannot be dialled, once it is proved that we can be."""
    mapper: PortMapper | None = None
    """Asks our router for a port."""


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
        ladder: Ladder = Ladder(),
        line: Line | None = None,
    ) -> None:
        self._transport = transport
        self._identity = identity
        self._run = run
        self._learner = learner
        self.store = store
        self._observer = observer
        self.pairing: Pairing | Gatherer
        """Takes our shares."""
        self._matchmaker: Matchmaker | Gatherer
        self._exchanger: Exchanger | Reducer
        self._partner_calls: PartnerCalls | Gatherer
        run_id = run.run_id
        # One source of chance for all parts, so that a simulation can be run again from its seed.
        self._rng = rng or random.Random()
        self.view = View(identity.peer_id, run_id, rng=self._rng)
        self.view.on_change(observer.peer_changed)
        self.view.is_relayed = transport.relayed
        self.membership = Membership(
            transport, identity, run_id, self.view, rng=self._rng, on_split=observer.split_noticed
        )
        self._discovery = Discovery(
            transport,
            run_id,
            self.view,
            self.membership,
            bootstraps=run.bootstraps,
            cached=run.cached,
            rng=self._rng,
        )
        self.behind = Behind(self.view)
        """Whether the others have left us behind."""
        self.membership.progress = self._progress
        self.reach = Reachability(
            transport,
            self.view,
            volunteers=ladder.volunteers,
            mapper=ladder.mapper,
            on_change=self._reach_changed,
        )
        self._line = line or Line()
        self.transfers = Transfers()
        """What is on its way now."""
        self._pieces = PieceServer(store, self._line.upload, self.transfers)
        self.puller = Puller(
            transport,
            run_id,
            lanes=self._line.bulk,
            download=self._line.download,
            transfers=self.transfers,
        )
        """Fetches objects from peers."""
        if run.manifest.outer.group > PAIR:
            self._gather()
        else:
            self._pair(identity.peer_id)
        self.resting = Resting(self.pairing)
        """Why we share nothing, where we do not."""
        self.service = Service(run_id)
        self._donor: Donor | None = None
        self._sparing = False
        self.serving = trio.Event()
        """Set once calls are answered."""
        self._kept: defaultdict[int, deque[OwnShare]] = defaultdict(deque)

    def _pair(self, own_id: str) -> None:
        """Put together what finds partners, two by two, and exchanges with them."""
        manifest, learner = self._run.manifest, self._learner
        sizes, decodes = ShareSizes(manifest), decodable(manifest)
        on_demand = tuple(codec for codec in manifest.codecs if codec in ON_DEMAND)
        seeks = manifest.outer.seeks
        pairing = Pairing(own_id, decodes=decodes, on_demand=on_demand, sizes=sizes, seeks=seeks)
        # How long a trainer may take for an answer, ours or a partner's: it looks up between inner steps.
        thinking = AdaptiveDeadline(first=10.0, floor=5.0, ceiling=120.0)
        goodput = self._pieces.goodput
        chooser = Chooser(manifest, sizes, goodput, lambda: pairing.pace, self._transport.relayed)
        fetcher = Fetcher(self._transport, self._run.run_id, self.store, self.puller, goodput)
        writer = Writer(fetcher, learner, sizes, chooser, thinking)
        reader = Reader(fetcher, learner, sizes, thinking, decodes=decodes)
        exchanger = Exchanger(fetcher, self._pieces, learner, reader, writer, thinking, self._exchange_ended)
        matchmaker = Matchmaker(
            self._transport,
            self._run.run_id,
            self.view,
            pairing,
            exchanger,
            learner,
            waits=not manifest.outer.overlap,
            on_skip=self._observer.skipped,
        )
        self.pairing, self._exchanger, self._matchmaker = pairing, exchanger, matchmaker
        self._partner_calls = PartnerCalls(self.view, pairing, writer, matchmaker.start)

    def _gather(self) -> None:
        """Put together what finds groups of more than two, and averages with them."""
        transport, run_id, learner = self._transport, self._run.run_id, self._learner
        fetcher = PartFetcher(transport, run_id, self.view, self.store, self.puller)
        tools = Tools(transport, run_id, self.view, self.store, fetcher, learner)
        manifest, observer = self._run.manifest, self._observer
        self._exchanger = Reducer(tools, self._pieces, manifest, self._exchange_ended)
        self.pairing = self._matchmaker = self._partner_calls = Gatherer(
            transport,
            run_id,
            self.view,
            self._exchanger,
            learner,
            manifest.outer,
            on_skip=observer.skipped,
        )

    async def run(self) -> None:
        """Serve, find peers and line up with them until cancelled."""
        async with trio.open_nursery() as nursery:
            self._donor = Donor(
                self.store,
                self._learner,
                self._identity,
                self._run.run_id,
                self.view,
                nursery,
                self._observer.state_served,
            )
            self._donor.sparing = self._sparing
            self._donor.outdated = lambda: self.behind.outdated
            # Two sets of stubs are about that disagree on the type of what `start` hands over.
            start: Callable[..., Awaitable[None]] = self._matchmaker.run
            await nursery.start(start)
            self._serve(self._donor)
            self._transport.handle(messages.STREAM_PROTOCOL, self.service.handle)
            self.serving.set()
            nursery.start_soon(self.membership.run)
            nursery.start_soon(self._discovery.run)
            nursery.start_soon(self.reach.run)

    def _exchange_ended(self, outcome: Outcome) -> None:
        fit = outcome.result == "done"
        # Where it failed the reason may be the partner's own words.
        if fit or (outcome.result == "refused" and kind_of(outcome.reason) in TOO_FAR):
            self.behind.met(*(outcome.members or (outcome.partner,)), fit=fit)
        self._observer.exchange_ended(outcome)

    def _progress(self) -> tuple[int | None, bool]:
        # Resting peers too stand still, or are about to give up what they have.
        return self.behind.outer_step, self.behind.away or bool(self.resting.reasons)

    def _reach_changed(self, reach: ReachStatistics) -> None:
        self.membership.renew(relaying=reach.relaying)
        self._observer.reach_changed(reach)

    def _serve(self, donor: Donor) -> None:
        serve = self.service.serve
        serve(messages.AskManifest, self._serve_manifest)
        serve(messages.AskPeers, self.membership.serve_peers)
        serve(messages.Goodbye, self.membership.serve_goodbye)
        serve(messages.AskState, donor.serve)
        serve(messages.Pull, self._pieces.serve)
        serve(messages.Got, self._pieces.serve_got)
        self._partner_calls.register(self.service)
        MeasureServer(self._line.upload).register(self.service)
        if self._line.bulk is not None:
            serve(AskLanes, self._line.bulk.serve)
            self._line.bulk.serve_with(self.service.answer)

    async def _serve_manifest(self, caller: str, call: messages.AskManifest) -> Reply:
        if call.mine is not None and call.mine.run_id != self._run.run_id:
            fields = differences(self._run.manifest, open_manifest(call.mine))
            self._observer.manifest_refused(caller, fields)
        return messages.ManifestIs(manifest=self._run.sealed)

    async def find_peers(self) -> bool:
        """Greet bootstraps and cached peers once; return whether any is in view now."""
        await self._discovery.bootstrap()
        return bool(self.view.live())

    def new_share(self, share: OwnShare, files: Sequence[str]) -> None:
        """Offer this share from now on.

        Args:
            share: what the trainer announced.
            files: those of `share.ref` and `share.bounds`, in this order, as far as there are such. The
                store owns them from now on.
        """
        for ref, file in zip(_objects(share), files, strict=True):
            self.store.add(ref, file)
        kept = self._kept[share.fragment]
        kept.append(share)
        # The share before this one may be on its way to a partner that has just been promised it.
        while len(kept) > KEPT:
            self._retire(kept.popleft())
        self.behind.stepped(share.outer_step)
        self.pairing.new_share(share)

    def _retire(self, share: OwnShare) -> None:
        # Two shares may have the same bytes: bounds stay as they are where nothing was mixed between.
        needed = {ref for shares in self._kept.values() for kept in shares for ref in _objects(kept)}
        for ref in _objects(share):
            if ref not in needed:
                self.store.retire(ref.sha256)

    def free_shard(self, shards: int) -> int:
        """Return a shard of the data that no known peer reads, or any where all are taken."""
        taken = self.view.shards()
        free = [shard for shard in range(shards) if shard not in taken]
        return self._rng.choice(free or range(shards))

    async def leave(self) -> None:
        """Say goodbye to the peers in view, and begin nothing new with anybody."""
        for kind in (messages.AskPeers, messages.AskState, messages.Offer, Ready, Invite):
            self.service.serve(kind, _refuse_leaving)
        await self.membership.say_goodbye()

    def spare(self, *, sparing: bool) -> None:
        """Carry nothing for others who are new, neither states nor circuits; or do so again."""
        if sparing != self._sparing:
            self._sparing = sparing
            self.reach.spare(sparing=sparing)
            if self._donor is not None:
                self._donor.sparing = sparing

    def links(self, most: int) -> tuple[LinkStatistics, ...]:
        """Say how `most` of the peers in view are connected to us, at this moment."""
        return links(self.view, self._transport, self._pieces.goodput, self._line.bulk, most)

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
            pulls=self.puller.statistics(),
            bulk=self._line.bulk.statistics() if self._line.bulk else None,
            bulk_bytes_out=self._pieces.bytes_out,
            horizon=self.membership.horizon.statistics(),
            reach=self.reach.statistics(),
        )


async def _refuse_leaving(caller: str, call: object) -> Reply:
    del caller, call
    return messages.Refused(reason="I am leaving")


def _objects(share: OwnShare) -> list[messages.ObjectRef]:
    """Return what partners may pull of a share."""
    return [ref for ref in (share.ref, share.bounds) if ref is not None]
