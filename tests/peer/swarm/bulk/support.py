"""Two peers whose streams are memory and whose lanes are real sockets."""

import hashlib
from contextlib import asynccontextmanager
from dataclasses import dataclass

import trio

from peer.simulate.network import MemoryTransport, Network
from peer.swarm.bulk import Bulk, open_bulk
from peer.swarm.objects import CHUNK, ObjectStore
from peer.swarm.pieces import PieceServer
from peer.swarm.pull import Puller
from peer.swarm.rate import RateLimit
from peer.swarm.service import Service
from peer.swarm.transport import Contact
from protocol.bulk_calls import AskLanes
from protocol.identity import Identity
from protocol.messages import STREAM_PROTOCOL, Got, ObjectRef, Pull

RUN = bytes(range(32))
DATA = bytes(range(251)) * (20 * CHUNK // 251)
REF = ObjectRef(sha256=hashlib.sha256(DATA).digest(), size=len(DATA))
NAMES = sorted(Identity(bytes([number]) * 32).peer_id for number in (1, 2))


@dataclass
class Bird:
    """One peer as far as bulk goes."""

    peer_id: str
    transport: MemoryTransport
    store: ObjectStore
    pieces: PieceServer
    service: Service
    bulk: Bulk | None
    puller: Puller
    failures: list[tuple[str, str]]

    @property
    def contact(self) -> Contact:
        return Contact(self.peer_id, (f"/memory/{self.peer_id}",))

    def hold(self, data: bytes = DATA) -> ObjectRef:
        name = f"held-{len(list(self.store.folder.iterdir()))}"
        (self.store.folder / name).write_bytes(data)
        ref = ObjectRef(sha256=hashlib.sha256(data).digest(), size=len(data))
        self.store.add(ref, name)
        return ref

    async def fetch(self, other: "Bird", ref: ObjectRef = REF) -> bytes:
        with self.store.receive(ref) as incoming:
            await self.puller.pull(other.contact, ref, incoming)
            incoming.check()
            return (self.store.folder / incoming.keep()).read_bytes()


@asynccontextmanager
async def bird(network, nursery, folder, peer_id, *, lanes=True, **limits):
    transport = network.add(peer_id)
    transport.host = "127.0.0.1"
    folder.mkdir()
    store = ObjectStore(folder)
    limits = {which: RateLimit(rate) for which, rate in limits.items()}
    pieces, service = PieceServer(store, limits.get("upload")), Service(RUN)
    failures = []

    def failed(*told):
        failures.append(told)

    async with open_bulk(peer_id, ["127.0.0.1"], 0, transport.direct_host, failed) as bulk:
        puller = Puller(transport, RUN, lanes=bulk if lanes else None, download=limits.get("download"))
        service.serve(Pull, pieces.serve)
        service.serve(Got, pieces.serve_got)
        if lanes:
            service.serve(AskLanes, bulk.serve)
            bulk.serve_with(service.answer)
        transport.handle(STREAM_PROTOCOL, service.handle)
        nursery.start_soon(transport.serve)
        yield Bird(peer_id, transport, store, pieces, service, bulk, puller, failures)


@asynccontextmanager
async def two_birds(folder, **options):
    """The first has the smaller PeerID."""
    network = Network()
    async with (
        trio.open_nursery() as nursery,
        bird(network, nursery, folder / "one", NAMES[0], **options) as one,
        bird(network, nursery, folder / "two", NAMES[1], **options) as two,
    ):
        yield one, two
        nursery.cancel_scope.cancel()


async def until(condition):
    """Wait for what happens on real sockets."""
    with trio.fail_after(10):
        while not condition():  # noqa: ASYNC110
            await trio.sleep(0.005)
