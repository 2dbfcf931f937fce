"""Faults as data: what a peer does wrong, in which phase, whether it asks then or is asked, and over what."""

from dataclasses import dataclass
from enum import Enum
from types import SimpleNamespace

import trio

from peer.swarm.bulk.lane import LONGEST_FRAME
from peer.swarm.learner import LearnerGoneError
from peer.swarm.service import PieceOf
from peer.swarm.transport import TransportError
from protocol import codec
from protocol.bulk_calls import AskLanes
from protocol.errors import ProtocolError
from protocol.frames import PREFIX_BYTES, frame
from protocol.limits import MAX_MESSAGE
from protocol.messages import AskPeers, AskState, Call, Offer, Pull
from protocol.trainer import Mixed


class Fault(Enum):
    FAIL_BEFORE = "fails before it sends"
    FAIL_SENDING = "fails while it sends"
    SLOW = "is slow"
    STALL = "stalls"
    CORRUPT = "sends garbage"
    VANISH = "vanishes"
    FREEZE = "freezes with the socket open"


class Phase(Enum):
    DISCOVERY = "discovery"
    OFFER = "offer"
    LANES = "agreement on lanes"
    TRANSFER = "transfer"
    APPLY = "apply"
    STATE_SYNC = "state sync"


class Side(Enum):
    ASKS = "asks"
    ASKED = "is asked"


class Carrier(Enum):
    """What the faulty call goes over. A fault of lanes alone leaves the streams as they should be."""

    STREAM = "stream"
    LANES = "lanes"


CALLS = {
    Phase.DISCOVERY: (AskPeers,),
    Phase.OFFER: (Offer,),
    Phase.LANES: (AskLanes,),
    Phase.TRANSFER: (Pull,),
    Phase.STATE_SYNC: (AskState, Pull),
}

OTHERWISE = bytes(255 - byte for byte in range(256))
"""Translates data into other data."""

SLOWLY = 1.5
"""Seconds late: within every limit."""


class Faulty:
    """Makes one bird of a flock faulty from `begins` on.

    Attributes:
        struck: set at the first fault.
    """

    def __init__(self, flock, bird, fault, phase, side, *, carrier=Carrier.STREAM, begins=5.0):
        self.flock, self.bird, self.fault, self.begins = flock, bird, fault, begins
        self.struck = trio.Event()
        self.calls = CALLS.get(phase, ())
        if phase is Phase.APPLY:
            self._apply(side)
        elif side is Side.ASKED:
            self._answer() if carrier is Carrier.STREAM else self._answer_over_lanes()
        else:
            self._ask() if carrier is Carrier.STREAM else self._ask_over_lanes()

    def _strikes(self, body):
        if trio.current_time() < self.begins or not isinstance(body, self.calls):
            return False
        self.struck.set()
        return True

    async def _end(self):
        if self.fault is Fault.FREEZE:
            self.flock.freeze(self.bird)
        elif self.bird.identity.peer_id in self.flock.network.peers:
            self.flock.kill(self.bird)
        await trio.sleep_forever()

    # ---- as the one that is asked

    def _answer(self):
        service = self.bird.swarm.service
        answer, send = service._answer, service._send

        async def badly(peer_id, call):
            if not self._strikes(call.body):
                return await answer(peer_id, call)
            await self._before_the_answer()
            reply = await answer(peer_id, call)
            return reply if self.fault is Fault.SLOW else (self, reply)

        async def send_badly(wire, reply):
            if isinstance(reply, tuple):
                await self.spoil(wire, reply[1])
            else:
                await send(wire, reply)

        service._answer, service._send = badly, send_badly

    def _answer_over_lanes(self):
        accept = self.bird.bulk.serve_with

        def serve_with(serve):
            async def badly(peer_id, call):
                if not self._strikes(call):
                    return await serve(peer_id, call)
                await self._before_the_answer()
                reply = await serve(peer_id, call)
                good = self.fault is Fault.SLOW or not isinstance(reply, PieceOf)
                return reply if good else Spoiled(reply.piece, reply.data, by=self)

            accept(badly)

        self.bird.bulk.serve_with = serve_with

    async def _before_the_answer(self):
        match self.fault:
            case Fault.FAIL_BEFORE:
                raise RuntimeError("a bug, or an attack")
            case Fault.STALL:
                await trio.sleep_forever()
            case Fault.VANISH | Fault.FREEZE:
                await self._end()
            case Fault.SLOW:
                await trio.sleep(SLOWLY)

    async def spoil(self, wire, reply):
        message, data = (reply.piece, reply.data) if isinstance(reply, PieceOf) else (reply, b"")
        body = frame(codec.encode(message), MAX_MESSAGE)
        if self.fault is Fault.FAIL_SENDING:
            await wire.send_raw(body + data[: len(data) // 2] if data else body[:-1])
            raise RuntimeError("cut off")
        garbage = b"\xc1" * (len(body) - PREFIX_BYTES)
        await wire.send_raw(body + data.translate(OTHERWISE) if data else body[:PREFIX_BYTES] + garbage)

    # ---- as the one that asks

    def _ask(self):
        opened = self.bird.transport.open_stream

        async def open_stream(contact, protocol):
            stream = await opened(contact, protocol)
            self._send_badly(stream, _body)
            return stream

        self.bird.transport.open_stream = open_stream

    def _ask_over_lanes(self):
        add = self.bird.bulk._add

        def add_faulty(stream):
            self._send_badly(stream, _body_of_lane)
            return add(stream)

        self.bird.bulk._add = add_faulty

    def _send_badly(self, stream, body):
        send = stream.send_all

        async def send_all(data):
            if self._strikes(body(bytes(data))):
                await self._send(stream, send, bytes(data))
            else:
                await send(data)

        stream.send_all = send_all

    async def _send(self, stream, send, data):
        match self.fault:
            case Fault.FAIL_BEFORE:
                raise TransportError("nothing leaves us")
            case Fault.FAIL_SENDING:
                await send(data[:-1])
                await stream.reset()
                raise TransportError("cut off")
            case Fault.STALL:
                await send(data[:-1])
                await trio.sleep_forever()
            case Fault.CORRUPT:
                await send(data[:PREFIX_BYTES] + b"\xc1" * (len(data) - PREFIX_BYTES))
            case Fault.SLOW:
                await trio.sleep(SLOWLY)
                await send(data)
            case Fault.VANISH | Fault.FREEZE:
                await send(data)
                await self._end()

    # ---- as one of two that mix

    def _apply(self, side):
        exchanger, pairing = self.bird.swarm._exchanger, self.bird.swarm.pairing
        mix = self.bird.learner.mix

        async def mix_badly(share, *told):
            engaged = pairing.engagement
            if trio.current_time() < self.begins or engaged.initiated is not (side is Side.ASKS):
                return await mix(share, *told)
            self.struck.set()
            match self.fault:
                case Fault.FAIL_BEFORE:
                    raise LearnerGoneError
                case Fault.FAIL_SENDING:
                    await mix(share, *told)
                    raise LearnerGoneError
                case Fault.SLOW:
                    await trio.sleep(2 * SLOWLY)
                case Fault.STALL:
                    await trio.sleep_forever()
                case Fault.CORRUPT:
                    said = {"distance": 0.0, "relative_distance": 0.0, "late_by": 0}
                    return Mixed(share=share, accepted=False, reason="not fit", **said)
                case Fault.VANISH | Fault.FREEZE:
                    await self._end()
            return await mix(share, *told)

        exchanger._learner = SimpleNamespace(mix=mix_badly, keep=exchanger._learner.keep)


@dataclass(frozen=True)
class Spoiled(PieceOf):
    """A piece that goes out over a lane as its faulty giver would have it."""

    by: Faulty | None = None

    async def send(self, wire):
        await self.by.spoil(wire, self)


def _body(data):
    try:
        return codec.decode(data[PREFIX_BYTES:], Call, MAX_MESSAGE).body
    except ProtocolError:
        return None


def _body_of_lane(data):
    try:
        return codec.decode(data[PREFIX_BYTES:], Pull, LONGEST_FRAME)
    except ProtocolError:
        return None
