"""Faults as data: what a peer does wrong, in which phase, and whether it asks then or is asked."""

from enum import Enum
from types import SimpleNamespace

import trio

from peer.swarm.learner import LearnerGoneError
from peer.swarm.service import PieceOf
from peer.swarm.transport import TransportError
from protocol import codec
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
    TRANSFER = "transfer"
    APPLY = "apply"
    STATE_SYNC = "state sync"


class Side(Enum):
    ASKS = "asks"
    ASKED = "is asked"


CALLS = {
    Phase.DISCOVERY: (AskPeers,),
    Phase.OFFER: (Offer,),
    Phase.TRANSFER: (Pull,),
    Phase.STATE_SYNC: (AskState, Pull),
}

SLOWLY = 1.5
"""Seconds late: within every limit."""


class Faulty:
    """Makes one bird of a flock faulty from `begins` on.

    Attributes:
        struck: set at the first fault.
    """

    def __init__(self, flock, bird, fault, phase, side, begins=5.0):
        self.flock, self.bird, self.fault, self.begins = flock, bird, fault, begins
        self.struck = trio.Event()
        self.calls = CALLS.get(phase, ())
        if phase is Phase.APPLY:
            self._apply(side)
        elif side is Side.ASKED:
            self._answer()
        else:
            self._ask()

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
            match self.fault:
                case Fault.FAIL_BEFORE:
                    raise RuntimeError("a bug, or an attack")
                case Fault.STALL:
                    await trio.sleep_forever()
                case Fault.VANISH | Fault.FREEZE:
                    await self._end()
                case Fault.SLOW:
                    await trio.sleep(SLOWLY)
                    return await answer(peer_id, call)
            return self, await answer(peer_id, call)

        async def send_badly(wire, reply):
            if isinstance(reply, tuple):
                await self._spoil(wire, reply[1])
            else:
                await send(wire, reply)

        service._answer, service._send = badly, send_badly

    async def _spoil(self, wire, reply):
        message, data = (reply.piece, reply.data) if isinstance(reply, PieceOf) else (reply, b"")
        body = frame(codec.encode(message), MAX_MESSAGE)
        if self.fault is Fault.FAIL_SENDING:
            await wire.send_raw(body + data[: len(data) // 2] if data else body[:-1])
            raise RuntimeError("cut off")
        garbage = b"\xc1" * (len(body) - PREFIX_BYTES)
        await wire.send_raw(body + bytes(len(data)) if data else body[:PREFIX_BYTES] + garbage)

    # ---- as the one that asks

    def _ask(self):
        opened = self.bird.transport.open_stream

        async def open_stream(contact, protocol):
            stream = await opened(contact, protocol)
            send = stream.send_all

            async def send_all(data):
                if self._strikes(_body(bytes(data))):
                    await self._send(stream, send, bytes(data))
                else:
                    await send(data)

            stream.send_all = send_all
            return stream

        self.bird.transport.open_stream = open_stream

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


def _body(data):
    try:
        return codec.decode(data[PREFIX_BYTES:], Call, MAX_MESSAGE).body
    except ProtocolError:
        return None
