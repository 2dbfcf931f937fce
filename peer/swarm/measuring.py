"""Measuring the way to a peer: its round trip, its rate in both directions, how far our clocks are apart."""

import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass
from functools import partial

import trio

from peer.swarm.calls import Conversation, conversation
from peer.swarm.rate import RateLimit
from peer.swarm.service import PieceOf, Reply, Service
from peer.swarm.transport import Contact, Transport
from protocol.codec import digest
from protocol.errors import ProtocolError
from protocol.measure_calls import MAX_DOWN, MAX_UP, AskBytes, TakeBytes, Taken
from protocol.messages import Piece, Refused

ALLOWANCE = 4 * 1024 * 1024
ALLOWANCE_OF_ALL = 16 * 1024 * 1024
EVERY = 60.0
"""So many bytes in so many seconds are given to, or taken from, one who measures; and so many, all in all."""

LONG_ENOUGH = 4.0
"""Seconds each way after which the rate is known well enough, however little came."""

FIRST = 64 * 1024
"""Bytes of the first piece that is asked for; each is twice as long as the last."""

PATIENCE = 15.0
"""Seconds until a piece of ours is said to have come."""

_MOST_CALLERS = 256
_DOWN, _UP = 2 * 1024 * 1024, 6 * MAX_UP
_EVERYBODY = ""


class MeasureServer:
    """Answers the calls of a measurement, a few bytes for each caller, and no faster than the cap."""

    def __init__(self, upload: RateLimit | None = None) -> None:
        self._upload = upload or RateLimit()
        self._spent: OrderedDict[str, tuple[float, int]] = OrderedDict()
        self._filling = secrets.token_bytes(MAX_DOWN)

    def register(self, service: Service) -> None:
        """Answer these calls from now on."""
        service.serve(AskBytes, self.serve_bytes)
        service.serve(TakeBytes, self.serve_taking)

    async def serve_bytes(self, caller: str, call: AskBytes) -> Reply:
        """Answer `AskBytes`."""
        if not self._allows(caller, call.length):
            return Refused(reason="you have measured enough for now")
        data = self._filling[: call.length]
        may_send = partial(self._upload.take, who=caller)
        return PieceOf(Piece(length=len(data), sha256=digest(data)), data, self._upload.slice, may_send)

    async def serve_taking(self, caller: str, call: TakeBytes) -> Reply:
        """Answer `TakeBytes`."""
        if not self._allows(caller, len(call.data)):
            return Refused(reason="you have measured enough for now")
        return Taken(clock=time.time())

    def _allows(self, caller: str, size: int) -> bool:
        # Whoever has keys to spare has callers to spare.
        allowed = self._spends(caller, size, ALLOWANCE) and self._spends(_EVERYBODY, size, ALLOWANCE_OF_ALL)
        while len(self._spent) > _MOST_CALLERS:
            self._spent.popitem(last=False)
        return allowed

    def _spends(self, who: str, size: int, allowance: int) -> bool:
        now = trio.current_time()
        since, spent = self._spent.pop(who, (now, 0))
        if now - since >= EVERY:
            since, spent = now, 0
        allowed = spent + size <= allowance
        self._spent[who] = (since, spent + size if allowed else spent)
        return allowed


@dataclass(frozen=True, slots=True)
class Measured:
    """The way to one peer.

    Attributes:
        round_trip: seconds.
        down: bytes a second from it to us.
        up: bytes a second from us to it.
        clock_ahead: seconds by which its clock is ahead of ours, to within half a round trip.
    """

    round_trip: float
    down: float
    up: float
    clock_ahead: float


async def measure(transport: Transport, contact: Contact, run_id: bytes) -> Measured:
    """Measure the way to a peer with some 3 MB, or for some seconds where the link is slow.

    Raises:
        TransportError, ProtocolError, RefusedError: it cannot be measured.
    """
    async with conversation(transport, contact, run_id) as talk:
        trips = []
        ahead = 0.0
        for _ in range(3):
            began, wall = trio.current_time(), time.time()
            taken = await talk.ask(TakeBytes(data=b""), Taken)
            trips.append(trio.current_time() - began)
            if trips[-1] == min(trips):
                ahead = taken.clock - (wall + time.time()) / 2
        trip = min(trips)
        down = await _timed_down(talk, trip)
        return Measured(trip, down, await _timed_up(talk, trip), ahead)


async def _timed_down(talk: Conversation, trip: float) -> float:
    began, moved, asked, length = trio.current_time(), 0, 0, FIRST
    while moved < _DOWN and trio.current_time() - began < LONG_ENOUGH:
        piece = await talk.ask(AskBytes(length=length), Piece)
        if piece.length != length:
            raise ProtocolError("another length was asked for")
        await talk.receive_raw(length)
        moved, asked, length = moved + length, asked + 1, min(2 * length, MAX_DOWN)
    return _rate(moved, trio.current_time() - began - asked * trip)


async def _timed_up(talk: Conversation, trip: float) -> float:
    began, moved, asked, length = trio.current_time(), 0, 0, FIRST
    while moved < _UP and trio.current_time() - began < LONG_ENOUGH:
        await talk.ask(TakeBytes(data=secrets.token_bytes(length)), Taken, patience=PATIENCE)
        moved, asked, length = moved + length, asked + 1, min(2 * length, MAX_UP)
    return _rate(moved, trio.current_time() - began - asked * trip)


def _rate(size: int, seconds: float) -> float:
    return size / max(seconds, 1e-3)
