"""Pull an object chunk by chunk: the receiver sets the pace, and goes on from what it has."""

from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import trio

from peer.swarm.calls import Conversation, conversation
from peer.swarm.objects import CHUNK, Chunk, Incoming
from peer.swarm.rate import RateLimit
from peer.swarm.together import together
from peer.swarm.transfers import Transfers
from peer.swarm.transport import Contact, Transport, TransportError
from protocol.errors import ProtocolError
from protocol.messages import Got, ObjectRef, Piece, Pull

MOST_AHEAD = 12
"""Chunks that are asked for before the first of them has come: 6 MiB fill a link of 60 MB/s at 100 ms."""

QUICK, SLOW = 1.0, 2.0
"""Seconds from asking to having a chunk: under the one, more are asked for ahead; above the other, fewer.
What is asked for in vain, when an exchange is given up, is sent all the same."""

SMALLEST = 128 * 1024
"""Bytes of an object for which lanes are worth opening."""

MOST_BAD = 2
"""Chunks with a wrong hash that are asked for again; whoever sends more lies."""


@dataclass(frozen=True, slots=True)
class PullStatistics:
    """What was pulled since the start."""

    bytes_in: int
    bad_chunks: int
    """Chunks that did not have their hash."""
    resumed: int
    """Transfers that broke and went on from their last good chunk."""


class Ahead:
    """How many chunks to ask for ahead, by how long the last ones took."""

    def __init__(self, first: int = 1) -> None:
        self.now = first

    def came(self, seconds: float) -> None:
        """Note that a chunk took so long from asking to having it."""
        if seconds < QUICK:
            self.now = min(self.now + 1, MOST_AHEAD)
        elif seconds > SLOW:
            self.now = max(self.now - 1, 1)


@dataclass(slots=True)
class _Tally:
    bytes_in: int = 0
    bad: int = 0
    resumed: int = 0


class Wanted(Protocol):
    """What is to be pulled of an object that one peer holds. A chunk is taken, and then comes or is put back.

    Attributes:
        name: by what the peer knows the object.
        size: its bytes.
    """

    name: bytes
    size: int

    @property
    def received(self) -> int:
        """Bytes that have come."""

    @property
    def untaken(self) -> bool:
        """Whether something is missing that nobody is fetching."""

    def take(self) -> Chunk | None:
        """Return a chunk that nobody is fetching, of `CHUNK` bytes at most, or None."""

    def put_back(self, chunk: Chunk) -> None:
        """Let another fetch what was taken."""

    def came(self, chunk: Chunk, piece: Piece, data: bytes | bytearray) -> None:
        """Take in a chunk that was taken. Raises `ProtocolError`, and `OSError` where our disk refuses."""

    def finished(self) -> bool:
        """Say whether nothing is left to take. Raises `ProtocolError` where what came is of no use."""


class _Whole:
    """A whole object, as one peer gives it."""

    def __init__(self, peer_id: str, ref: ObjectRef, incoming: Incoming, tally: _Tally) -> None:
        self.name = ref.sha256
        self.size = ref.size
        self.take = incoming.take
        self.put_back = incoming.put_back
        self._peer_id = peer_id
        self._incoming = incoming
        self._tally = tally
        self._bad: Counter[str] = Counter()

    @property
    def received(self) -> int:
        return self._incoming.received

    @property
    def untaken(self) -> bool:
        return self._incoming.untaken

    def came(self, chunk: Chunk, piece: Piece, data: bytes | bytearray) -> None:
        self._incoming.write(chunk, data, piece.sha256, self._peer_id)

    def finished(self) -> bool:
        """Say whether nothing is left to take, once all that came has been checked.

        Chunks that are bad are put back.

        Raises:
            ProtocolError: too many were, or the whole is wrong though each has the hash that came with it.
        """
        incoming = self._incoming
        if incoming.missing or incoming.sound:
            return not incoming.untaken
        givers = incoming.drop_bad()
        self._tally.bad += len(givers)
        self._bad.update(givers)
        for giver, count in self._bad.items():
            if count > MOST_BAD:
                raise ProtocolError(f"{count} pieces of {giver} do not have the hash that it announced")
        if not givers:
            incoming.check()
        return False


class Way(Protocol):
    """Something over which a peer answers pulls, in the order in which they were asked."""

    @property
    def ahead(self) -> Ahead:
        """How many chunks to ask for ahead; what one object taught holds for the next."""

    async def ask(self, call: Pull) -> None:
        """Ask for a chunk. Raises `TransportError`."""

    async def hear(self) -> tuple[Piece, bytes | bytearray]:
        """Return the answer to the earliest pull that has none yet. Raises as `Conversation.ask`."""

    async def tell(self, call: Got) -> None:
        """Say that all has come. Raises `TransportError`."""


class Lanes(Protocol):
    """Ways to a peer beside its streams."""

    def to(self, peer_id: str) -> Sequence[Way]:
        """Return those that are open now."""

    async def agree(self, talk: Conversation, size: int) -> Sequence[Callable[[], Awaitable[Way | None]]]:
        """Agree with a peer on what more an object of `size` bytes wants; return what opens each.

        Raises as `Conversation.ask`; an opening that fails returns None.
        """


class _Stream:
    """The conversation itself as a way."""

    def __init__(self, talk: Conversation) -> None:
        self._talk = talk
        self.ahead = Ahead()

    async def ask(self, call: Pull) -> None:
        await self._talk.tell(call)

    async def hear(self) -> tuple[Piece, bytes | bytearray]:
        piece = await self._talk.hear(Piece)
        if piece.length > CHUNK:
            raise ProtocolError("a piece is longer than was asked for")
        return piece, await self._talk.receive_raw(piece.length)

    async def tell(self, call: Got) -> None:
        await self._talk.tell(call)


class Puller:
    """Fetches objects from peers, over lanes where there are any and over the stream where there are none."""

    def __init__(
        self,
        transport: Transport,
        run_id: bytes,
        *,
        lanes: Lanes | None = None,
        download: RateLimit | None = None,
        transfers: Transfers | None = None,
    ) -> None:
        self._transport = transport
        self._run_id = run_id
        self._lanes = lanes
        self._download = download or RateLimit()
        self._transfers = transfers or Transfers()
        self._tally = _Tally()

    async def pull(self, contact: Contact, ref: ObjectRef, incoming: Incoming) -> None:
        """Fetch what `incoming` still misses of `ref` and no other pull is fetching. Raises as `fetch`."""
        await self.fetch(contact, _Whole(contact.peer_id, ref, incoming, self._tally))

    async def through(self, talk: Conversation, ref: ObjectRef, incoming: Incoming) -> None:
        """Fetch the same with the help of a stream that is open. If it breaks, go on as `pull` does."""
        wanted = _Whole(talk.peer_id, ref, incoming, self._tally)
        with self._transfers.coming(talk.peer_id, wanted):
            before = wanted.received
            try:
                await self._through(talk, wanted)
            except TransportError:
                if wanted.received == before:
                    raise
                self._tally.resumed += 1
                await self._fetch(talk.contact, wanted)

    async def fetch(self, contact: Contact, wanted: Wanted) -> None:
        """Fetch of a peer what is wanted of it, until nothing is left to take.

        A transfer that breaks is taken up again over a new stream, for as long as each attempt brings
        something. Raises as `Conversation.ask`, and `OSError`; what came is kept.
        """
        with self._transfers.coming(contact.peer_id, wanted):
            await self._fetch(contact, wanted)

    async def _fetch(self, contact: Contact, wanted: Wanted) -> None:
        if await self._over_open_lanes(contact.peer_id, wanted):
            return
        while True:
            before = wanted.received
            try:
                async with conversation(self._transport, contact, self._run_id) as talk:
                    await self._through(talk, wanted)
            except TransportError:
                if wanted.received == before:
                    raise
                self._tally.resumed += 1
            else:
                return

    async def _through(self, talk: Conversation, wanted: Wanted) -> None:
        if self._lanes is not None and wanted.size >= SMALLEST:
            await self._by_lanes(self._lanes, talk, wanted)
        stream = _Stream(talk)
        while not wanted.finished():
            await self._carry(stream, wanted)
        await _say_done(stream, wanted)

    async def _over_open_lanes(self, peer_id: str, wanted: Wanted) -> bool:
        """Fetch over the lanes that are open already; return whether nothing is left to take."""
        ways = self._lanes.to(peer_id) if self._lanes is not None else ()
        if not ways:
            return False
        await together(*(partial(self._try, way, wanted) for way in ways))
        if not wanted.finished():
            return False
        await _say_done(ways[0], wanted)
        return True

    async def _by_lanes(self, lanes: Lanes, talk: Conversation, wanted: Wanted) -> None:
        """Fetch what lanes bring; while there are none yet, the stream carries as well."""
        ways = lanes.to(talk.peer_id)
        dialling: list[trio.CancelScope] = []

        async def carry() -> None:
            if ways:
                await together(*(partial(self._try, way, wanted) for way in ways))
            else:
                stream = _Stream(talk)
                await self._carry(stream, wanted, lambda: bool(lanes.to(talk.peer_id)))
            if not wanted.untaken:
                # Where a port is not forwarded a lane takes seconds not to open.
                for scope in dialling:
                    scope.cancel()

        async def open_and_carry(opening: Callable[[], Awaitable[Way | None]]) -> None:
            way = None
            with trio.CancelScope() as scope:
                if not wanted.untaken:
                    return
                dialling.append(scope)
                way = await opening()
            if way is not None:
                await self._try(way, wanted)

        async def agree_and_open() -> None:
            openings = await lanes.agree(talk, wanted.size)
            # Only now may the stream carry: its answers come in the order of the calls.
            works = [partial(open_and_carry, opening) for opening in openings]
            await together(*works, *(() if ways else (carry,)))

        await together(agree_and_open, *((carry,) if ways else ()))
        # Lanes that the peer opened to us meanwhile.
        await together(*(partial(self._try, way, wanted) for way in lanes.to(talk.peer_id)))

    async def _try(self, way: Way, wanted: Wanted) -> None:
        # A lane that breaks puts back what it did not bring.
        with suppress(TransportError):
            await self._carry(way, wanted)

    async def _carry(self, way: Way, wanted: Wanted, enough: Callable[[], bool] = lambda: False) -> None:
        """Fetch over one way until nothing is left to take, or it is enough."""
        asked: deque[tuple[Chunk, float]] = deque()
        try:
            while True:
                await self._ask_ahead(way, wanted, asked, 0 if enough() else way.ahead.now)
                if not asked:
                    return
                chunk, since = asked[0]
                piece, data = await way.hear()
                asked.popleft()
                wanted.came(chunk, piece, data)
                self._tally.bytes_in += len(data)
                way.ahead.came(trio.current_time() - since)
        finally:
            for chunk, _ in asked:
                wanted.put_back(chunk)

    async def _ask_ahead(
        self, way: Way, wanted: Wanted, asked: deque[tuple[Chunk, float]], most: int
    ) -> None:
        while len(asked) < most and (self._download.ready or not asked):
            chunk = wanted.take()
            if chunk is None:
                return
            asked.append((chunk, trio.current_time()))
            await self._download.take(chunk.length)
            await way.ask(Pull(sha256=wanted.name, offset=chunk.offset, length=chunk.length))

    def statistics(self) -> PullStatistics:
        """Counters since the start."""
        return PullStatistics(self._tally.bytes_in, self._tally.bad, self._tally.resumed)


async def _say_done(way: Way, wanted: Wanted) -> None:
    # Whether it is heard changes nothing here: the way shows by itself if it is of no more use.
    with suppress(TransportError):
        await way.tell(Got(sha256=wanted.name))
