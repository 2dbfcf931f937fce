"""Connections through relays: dialled, and accepted from relays that we have asked for a reservation."""

import trio
from libp2p.connection_types import ConnectionType
from libp2p.io.abc import ReadWriteCloser
from libp2p.io.exceptions import ConnectionClosedError
from libp2p.network.connection.raw_connection import RawConnection
from libp2p.peer.id import ID
from multiaddr import Multiaddr

from peer.swarm.libp2p_host.addresses import Circuit
from peer.swarm.libp2p_host.inbound import BriefReader
from peer.swarm.libp2p_host.keys import libp2p_id
from peer.swarm.libp2p_host.stream import Libp2pStream
from peer.swarm.libp2p_host.swarm import GuardedSwarm
from peer.swarm.libp2p_host.talk import Talk, Talks
from peer.swarm.transport import DeclinedError, TransportError
from protocol.errors import ProtocolError
from protocol.reach_calls import AskCircuit, AskReservation, Connected, Declined, Incoming, Reserved

MOST_ACCEPTED = 16
"""Connections through relays that others may hold open to us."""


class CircuitStream(ReadWriteCloser):  # type: ignore[misc]
    """A stream through a relay, as what carries a connection."""

    def __init__(self, stream: Libp2pStream) -> None:
        self._stream = stream

    async def read(self, n: int | None = None) -> bytes:
        """Read up to `n` bytes; b"" at the end."""
        try:
            return await self._stream.receive_some(65536 if n is None else n)
        except TransportError as error:
            raise ConnectionClosedError(str(error)) from error

    async def write(self, data: bytes) -> None:
        """Write all of `data`."""
        try:
            await self._stream.send_all(data)
        except TransportError as error:
            raise ConnectionClosedError(str(error)) from error

    async def close(self) -> None:
        """Close both directions."""
        await self._stream.aclose()

    def get_remote_address(self) -> None:
        """Return nothing: only the relay knows where the other end is."""


class Circuits:
    """Opens and accepts connections through relays."""

    def __init__(self, swarm: GuardedSwarm, talks: Talks) -> None:
        self._swarm = swarm
        self._talks = talks
        self._reserved: dict[str, float] = {}
        self._accepted = 0

    async def reserve(self, relay: ID) -> float:
        """Ask a relay that we are connected to for a reservation; return its seconds.

        Raises:
            DeclinedError: it declines.
            TransportError: it does not answer.
        """
        async with self._talks.one(relay) as talk:
            if talk.relayed:
                raise DeclinedError("the relay itself is behind a relay")
            await talk.send(AskReservation())
            answer = await talk.hear(Reserved)
        assert isinstance(answer, Reserved)  # noqa: S101 - what `hear` promises
        self._reserved[relay.to_base58()] = trio.current_time() + answer.seconds
        return answer.seconds

    async def dial(self, circuit: Circuit, peer: ID) -> None:
        """Connect to a peer through a relay.

        Raises:
            TransportError: the relay declines.
            Exception: whatever libp2p raises.
        """
        relay = libp2p_id(circuit.relay_id)
        await self._swarm.dial_any(relay, [str(circuit.relay)])
        talk = await self._talks.open(relay)
        try:
            if talk.relayed:
                raise TransportError("the relay itself is behind a relay")
            await talk.send(AskCircuit(peer_id=peer.to_base58()))
            await talk.hear(Connected)
            raw = _carried(talk.stream, circuit.relay_id, initiator=True)
            await self._swarm.upgrade_outbound_raw_conn(raw, peer)
        except BaseException:
            await talk.stream.reset()
            raise

    async def deliver(self, target: str, source: str) -> Libp2pStream:
        """As a relay: open a stream to `target` that stands for `source`.

        Raises:
            TransportError, ProtocolError: the target does not take it.
        """
        talk = await self._talks.open(libp2p_id(target))
        try:
            await talk.send(Incoming(peer_id=source))
            await talk.hear(Connected)
        except BaseException:
            await talk.stream.reset()
            raise
        return talk.stream

    async def accept(self, talk: Talk, call: Incoming) -> None:
        """Take a connection that a relay brings; serve it to its end.

        Raises:
            ProtocolError: we did not ask that relay, or it brings another peer than it says.
        """
        if talk.relayed or self._reserved.get(talk.peer_id, 0.0) < trio.current_time():
            raise ProtocolError("a stranger brings a circuit")
        if self._accepted >= MOST_ACCEPTED:
            await talk.send(Declined(reason="I have as many circuits as I take"))
            return
        self._accepted += 1
        try:
            await talk.send(Connected())
            await self._serve(talk, call)
        finally:
            self._accepted -= 1

    async def _serve(self, talk: Talk, call: Incoming) -> None:
        raw = _carried(talk.stream, talk.peer_id, initiator=False)
        muxed = await self._swarm.upgrade_inbound_raw_conn(raw, Multiaddr("/p2p-circuit"))
        if muxed.peer_id.to_base58() != call.peer_id:
            await muxed.close()
            raise ProtocolError("a relay brings another peer than it says")
        await muxed.event_closed.wait()


def _carried(stream: Libp2pStream, relay_id: str, *, initiator: bool) -> RawConnection:
    where = [Multiaddr(f"/p2p/{relay_id}/p2p-circuit")]
    brief = BriefReader(CircuitStream(stream))
    return RawConnection(brief, initiator, ConnectionType.RELAYED, where)
