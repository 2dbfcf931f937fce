"""All lanes of one peer: agrees on them over streams, opens and answers them."""

import math
import ssl
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import trio
from trio.abc import Stream

from peer.swarm.backoff import Backoff
from peer.swarm.bulk.certificate import Certificate
from peer.swarm.bulk.distance import lanes_for
from peer.swarm.bulk.door import Door
from peer.swarm.bulk.lane import Lane, LaneWay, Serve
from peer.swarm.bulk.sockets import Dial, LaneStream, Traffic, answer, call
from peer.swarm.bulk.tickets import Tickets
from peer.swarm.calls import Conversation, RefusedError
from peer.swarm.service import Reply
from peer.swarm.transport import TransportError
from protocol.bulk_calls import MOST_LANES, AskLanes, LanesAre
from protocol.errors import ProtocolError
from protocol.limits import MAX_REASON
from protocol.messages import Busy, Got, Pull, Refused

MOST = 128
"""Lanes at once, of all peers together."""

MOST_OF_ONE = 2 * MOST_LANES
"""Lanes to one peer: both sides may have opened theirs at the same time."""

RECALL = 600.0
"""Seconds for which a peer that could not be called is not tried again: its bulk stays on the stream."""

BROKEN = 30.0
"""Seconds for which a peer's bulk stays on the stream once a lane fell silent in the midst of something, or
spoke nonsense. Doubling, up to `RECALL`: a line that was gone for a moment is soon trusted again."""

MOST_REMEMBERED = 1024

_RETRY = 1.0


@dataclass(frozen=True, slots=True)
class BulkStatistics:
    """What the lanes have done since the start."""

    lanes: int
    """Open now."""
    opened: int
    """By us."""
    answered: int
    """Opened by peers with a token of ours."""
    failed: int
    """That we tried to open in vain: those peers' bulk stays on the stream for a while."""
    turned_away: int
    """Callers without a token, or too many at once, or too slow."""
    bytes_in: int
    bytes_out: int


class _Opening:
    """A lane that is being opened, and the way over it once it is."""

    def __init__(self) -> None:
        self.done = trio.Event()
        self.way: LaneWay | None = None

    async def wait(self) -> LaneWay | None:
        await self.done.wait()
        return self.way


class Bulk:
    """Opens lanes while `run` runs, and answers those that come. Make one with `listening.open_bulk`."""

    def __init__(
        self,
        own_id: str,
        port: int,
        certificate: Certificate,
        host_of: Callable[[str], str | None],
        on_failed: Callable[[str, str], None],
        dial: Dial = trio.open_tcp_stream,
    ) -> None:
        self._own_id = own_id
        self.port = port
        """Where we answer."""
        self._certificate = certificate
        self._host_of = host_of
        self._nursery: trio.Nursery | None = None
        self._on_failed = on_failed
        self._dial = dial
        self._serve: Serve = _not_yet
        self._tickets = Tickets()
        self._door = Door()
        self._lanes: dict[str, list[Lane]] = {}
        self._asking: set[str] = set()
        """Whom we have asked whether we may call."""
        self._dialling: Counter[str] = Counter()
        """Lanes that we are opening."""
        self._round_trips: OrderedDict[str, float] = OrderedDict()
        self._beyond = Backoff(RECALL, RECALL)
        """From calls of peers, each at its host, who could not be called."""
        self._broken = Backoff(BROKEN, RECALL)
        """From the lanes of peers whose lanes failed."""
        self._traffic = Traffic()
        self._opened = self._answered = self._failed = self._turned_away = 0

    def serve_with(self, serve: Serve) -> None:
        """Answer the pulls of peers with this."""
        self._serve = serve

    async def run(self) -> None:
        """Run the lanes that we open until cancelled."""
        try:
            async with trio.open_nursery() as self._nursery:
                await trio.sleep_forever()
        finally:
            self._nursery = None

    # ---- our side: see `peer.swarm.pull.Lanes`

    def to(self, peer_id: str) -> Sequence[LaneWay]:
        """Return ways over the lanes that are open now, but to peers whose lanes have failed lately."""
        if self._broken.pauses(peer_id):
            return ()
        return [lane.way() for lane in self._lanes.get(peer_id, ()) if lane.live]

    async def agree(self, talk: Conversation, size: int) -> Sequence[Callable[[], Awaitable[LaneWay | None]]]:
        """Agree with a peer on what more an object of `size` bytes wants; return what opens each.

        Raises as `Conversation.ask`, but not for a refusal.
        """
        peer_id, host = talk.peer_id, self._host_of(talk.peer_id)
        missing, nursery = self._missing(peer_id, size), self._nursery
        if host is None or not missing or nursery is None or not self._may_call(peer_id, host):
            return ()
        self._asking.add(peer_id)
        try:
            agreed = await self._ask(talk, missing)
            context = self._certificate.calling(agreed.certificate) if agreed else None
        except (RefusedError, ValueError) as error:
            self._cannot_call(peer_id, host, str(error))
            return ()
        except (TransportError, ProtocolError):
            # It costs what this conversation was for; the next ones do without lanes.
            self._failed += 1
            self._broken.failed(peer_id)
            raise
        finally:
            self._asking.discard(peer_id)
        if agreed is None or context is None:
            return ()
        tokens = agreed.tokens[: self._missing(peer_id, size)]
        self._dialling[peer_id] += len(tokens)
        openings = [_Opening() for _ in tokens]
        for token, opening in zip(tokens, openings, strict=True):
            # Here, for whoever waits for it may go before it is known whether it opens.
            nursery.start_soon(self._open, opening, peer_id, (host, agreed.port), context, token)
        return [opening.wait for opening in openings]

    async def _ask(self, talk: Conversation, count: int) -> LanesAre | None:
        began = trio.current_time()
        asked = AskLanes(certificate=self._certificate.der, count=count)
        answered: LanesAre | Busy = await talk.ask(asked, LanesAre, Busy)
        self._round_trips.pop(talk.peer_id, None)
        self._round_trips[talk.peer_id] = trio.current_time() - began
        while len(self._round_trips) > MOST_REMEMBERED:
            self._round_trips.popitem(last=False)
        return answered if isinstance(answered, LanesAre) else None

    def _missing(self, peer_id: str, size: int) -> int:
        # As many as the size alone asks for, while it is not known how far it is.
        return max(lanes_for(self._round_trips.get(peer_id, math.inf), size) - len(self.to(peer_id)), 0)

    def _may_call(self, peer_id: str, host: str) -> bool:
        return (
            self._count() < MOST
            and peer_id not in self._asking
            and not self._dialling[peer_id]
            and not self._beyond.pauses(_at(peer_id, host))
            and not self._tickets.expects(peer_id)
            and not self._broken.pauses(peer_id)
        )

    def _cannot_call(self, peer_id: str, host: str, reason: str) -> None:
        self._failed += 1
        # With lanes of its own to us, or one of several that failed, it is no hopeless case.
        if not self.to(peer_id):
            if not self._beyond.pauses(_at(peer_id, host)):
                self._on_failed(peer_id, reason)
            self._beyond.failed(_at(peer_id, host))

    async def _open(
        self, opening: _Opening, peer_id: str, where: tuple[str, int], context: ssl.SSLContext, token: bytes
    ) -> None:
        try:
            stream = await call(self._dial, where, token, context, peer_id, self._traffic)
        except TransportError as error:
            self._cannot_call(peer_id, where[0], str(error))
            opening.done.set()
            return
        finally:
            self._dialling[peer_id] -= 1
            if not self._dialling[peer_id]:
                del self._dialling[peer_id]
        self._opened += 1
        lane = self._add(stream)
        opening.way = lane.way()
        opening.done.set()
        await self._run(stream.peer_id, lane)

    # ---- the other side

    async def serve(self, peer_id: str, call: AskLanes) -> Reply:
        """Answer one call.

        One side alone opens lanes at a time. Of two that ask each other at once, the smaller PeerID does; who
        has been allowed to, and is at it, is not overtaken by one that has not heard of it.
        """
        if self._dialling[peer_id] or (peer_id in self._asking and self._own_id < peer_id):
            return Busy(seconds=_RETRY, crossed=True)
        try:
            context = self._certificate.answering(call.certificate)
        except ValueError as error:
            return Refused(reason=str(error)[:MAX_REASON])
        tokens: tuple[bytes, ...] = ()
        room = self._count() < MOST and len(self._lanes.get(peer_id, ())) < MOST_OF_ONE
        if room and not self._broken.pauses(peer_id):
            tokens = self._tickets.issue(peer_id, call.certificate, context, call.count)
        if not tokens:
            return Busy(seconds=_RETRY)
        return LanesAre(port=self.port, certificate=self._certificate.der, tokens=tokens)

    async def take_call(self, raw: Stream, origin: str) -> None:
        """Serve one inbound connection to its end. Never raises but for cancellation."""
        stream: LaneStream | None = None
        with suppress(TransportError):
            stream = await answer(raw, self._door.one(origin), self._tickets.redeem, self._traffic)
        if stream is None:
            self._turned_away += 1
            await trio.aclose_forcefully(raw)
            return
        self._answered += 1
        await self._run(stream.peer_id, self._add(stream))

    # ---- both

    def _add(self, stream: LaneStream) -> Lane:
        lane = Lane(stream, self._serve)
        self._lanes.setdefault(stream.peer_id, []).append(lane)
        return lane

    async def _run(self, peer_id: str, lane: Lane) -> None:
        try:
            await lane.run()
        finally:
            self._lanes[peer_id].remove(lane)
            if not self._lanes[peer_id]:
                del self._lanes[peer_id]
            # Of several lanes that fail together, one is enough.
            if not self._broken.pauses(peer_id):
                if lane.failed:
                    self._broken.failed(peer_id)
                elif lane.useful:
                    self._broken.worked(peer_id)

    def _count(self) -> int:
        return sum(map(len, self._lanes.values()))

    def statistics(self) -> BulkStatistics:
        """Counters since the start, and the lanes of this moment."""
        return BulkStatistics(
            lanes=self._count(),
            opened=self._opened,
            answered=self._answered,
            failed=self._failed,
            turned_away=self._turned_away,
            bytes_in=self._traffic.received,
            bytes_out=self._traffic.sent,
        )


async def _not_yet(peer_id: str, call: Pull | Got) -> Reply:
    del peer_id, call
    return Refused(reason="not yet")


def _at(peer_id: str, host: str) -> str:
    return f"{peer_id} at {host}"
