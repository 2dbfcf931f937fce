"""How peers reach each other, as far as it needs sockets: the parts put together, the questions answered."""

from ipaddress import ip_address

import trio
from libp2p.abc import INetStream
from libp2p.custom_types import TProtocol
from libp2p.peer.id import ID

from peer.swarm.libp2p_host.addresses import Address, parse
from peer.swarm.libp2p_host.circuits import Circuits
from peer.swarm.libp2p_host.dial_back import ATTEMPT, DialBacks
from peer.swarm.libp2p_host.host import GuardedHost
from peer.swarm.libp2p_host.limits import RelayLimits
from peer.swarm.libp2p_host.paths import Path
from peer.swarm.libp2p_host.punching import Puncher
from peer.swarm.libp2p_host.relay import Relay
from peer.swarm.libp2p_host.stream import Libp2pStream, Traffic
from peer.swarm.libp2p_host.talk import PATIENCE, Talk, Talks
from peer.swarm.rate import RateLimit
from peer.swarm.transport import DialBack, TransportError
from protocol.errors import ProtocolError
from protocol.reach_calls import (
    REACH_PROTOCOL,
    AskCircuit,
    AskDialBack,
    AskReservation,
    DialledBack,
    Incoming,
    Punch,
)


class Reach:
    """Dial-back, relay, circuits and hole punching of one host.

    Attributes:
        circuits: connections through relays.
        relay: what we carry for others.
        puncher: makes relayed connections direct.
    """

    def __init__(
        self, host: GuardedHost, nursery: trio.Nursery, limits: RelayLimits, rate: RateLimit
    ) -> None:
        swarm = host.swarm
        # Not among the bytes of our own streams: what passes here is mostly what they count already.
        talks = Talks(host, Traffic())
        self._swarm = swarm
        self._talks = talks
        self._nursery = nursery
        self.dial_backs = DialBacks(swarm)
        self.circuits = Circuits(swarm, talks)
        self.relay = Relay(limits, rate, self._is_near, self.circuits.deliver)
        self.puncher = Puncher(swarm, talks)
        swarm.dial_circuit = self.circuits.dial
        swarm.muxers.on_nonce = self.dial_backs.arrived
        swarm.on_relayed = self._punch
        nursery.start_soon(self.puncher.run)
        host.set_stream_handler(TProtocol(REACH_PROTOCOL), self._serve)

    def _is_near(self, peer_id: str) -> bool:
        return self._swarm.is_near(ID.from_base58(peer_id))

    def _punch(self, peer: ID) -> None:
        self._nursery.start_soon(self.puncher.upgrade, peer)

    async def _serve(self, raw: INetStream) -> None:
        talk = Talk(Libp2pStream(raw, Traffic()))
        try:
            await self._answer(talk)
        except (TransportError, ProtocolError):
            await talk.stream.reset()
            raise  # the host counts it
        await talk.stream.aclose()

    async def _answer(self, talk: Talk) -> None:
        match call := await talk.hear_call():
            case AskDialBack():
                await talk.send(await self.dial_backs.serve(ID.from_base58(talk.peer_id), talk.path, call))
            case AskReservation():
                await talk.send(self.relay.reserve(talk.peer_id))
            case AskCircuit():
                await self.relay.connect(talk, call.peer_id)
            case Incoming():
                await self.circuits.accept(talk, call)
            case Punch():
                await self.puncher.follow(talk, call)
            case _:
                raise ProtocolError(f"{type(call).__name__} begins nothing")

    async def ask_dial_back(self, peer: ID, port: int) -> DialBack:
        """Let a peer try to reach us at `port`.

        Raises:
            TransportError: it cannot, or does not answer.
        """
        nonce, arrived = self.dial_backs.expect(peer)
        try:
            async with self._talks.one(peer) as talk:
                path = talk.path
                if path is None:
                    raise TransportError(f"{talk.peer_id} sees us through a relay only")
                await talk.send(AskDialBack(port=port, nonce=nonce))
                answer = await talk.hear(DialledBack, PATIENCE + ATTEMPT)
        finally:
            self.dial_backs.forget(nonce)
        assert isinstance(answer, DialledBack)  # noqa: S101 - what `hear` promises
        where = _seen_at(answer.host, path, port)
        # It says that it reached us: then the nonce is here. We believe no word, only the nonce.
        claimed = "stranger" if answer.result == "reached" else answer.result
        return DialBack(
            prober=talk.peer_id,
            address=str(where),
            result="reached" if arrived.is_set() else claimed,
            seen_port=answer.port if path.dialled else None,
            own_port=path.local.port if path.dialled else None,
        )


def _seen_at(host: str, path: Path, port: int) -> Address:
    """Return where a peer sees us, from its own word for it; nothing else of that word is told to others.

    Raises:
        TransportError: it is no address, or none of the family over which we are connected.
    """
    try:
        seen = ip_address(parse(f"/{path.local.family}/{host}/tcp/{port}").host)
    except ValueError as error:
        raise TransportError(f"a peer sees us nowhere: {error}") from error
    if seen.version == 6 and seen.ipv4_mapped is not None:
        raise TransportError(f"a peer sees us at {seen}, which is of the other family")
    return Address(path.local.family, str(seen), port)
