"""Dial-back: a peer asked opens a new TCP connection to where it sees the caller, and brings it a nonce.

libp2p's own AutoNAT calls a port public that nobody can reach, since its server answers over the connection
that it already has.
"""

import secrets
from collections import OrderedDict
from dataclasses import dataclass

import trio
from libp2p.custom_types import TProtocol
from libp2p.io.trio import TrioTCPStream
from libp2p.network.connection.raw_connection import RawConnection
from libp2p.peer.id import ID
from libp2p.protocol_muxer.multiselect_client import MultiselectClient
from libp2p.protocol_muxer.multiselect_communicator import MultiselectCommunicator

from peer.swarm.libp2p_host.addresses import Address
from peer.swarm.libp2p_host.inbound import BriefReader
from peer.swarm.libp2p_host.muxer import NONCE_ACCEPTED
from peer.swarm.libp2p_host.paths import Path
from peer.swarm.libp2p_host.swarm import GuardedSwarm
from peer.swarm.origin import origin_of
from protocol.reach_calls import (
    DIAL_BACK_PROTOCOL,
    NONCE_BYTES,
    AskDialBack,
    Declined,
    DialBackResult,
    DialledBack,
)

ATTEMPT = 4.0
"""Seconds for a new connection and its handshake: five round trips."""

AT_ONCE = 4
"""New connections under way, for all callers together."""

EVERY = 60.0
PER_HOST = 6
"""Attempts within `EVERY` seconds for one IPv4 address or one IPv6 /64: a caller has us dial its own address
only, but others may share it."""

_MOST_HOSTS = 1024


@dataclass(slots=True)
class Expected:
    """A nonce that we have given to a peer."""

    peer: ID
    arrived: trio.Event


class DialBacks:
    """Expects the nonces that we have asked for, and brings others theirs."""

    def __init__(self, swarm: GuardedSwarm) -> None:
        self._swarm = swarm
        self._expected: dict[bytes, Expected] = {}
        self._running = 0
        self._recent: OrderedDict[str, list[float]] = OrderedDict()
        self.served = 0

    def expect(self, peer: ID) -> tuple[bytes, trio.Event]:
        """Return a new nonce for a peer to bring, and the event of its coming. `forget` it in the end."""
        nonce, arrived = secrets.token_bytes(NONCE_BYTES), trio.Event()
        self._expected[nonce] = Expected(peer, arrived)
        return nonce, arrived

    def forget(self, nonce: bytes) -> None:
        """Expect it no more."""
        self._expected.pop(nonce, None)

    def arrived(self, peer: ID, nonce: bytes) -> bool:
        """Note what came in on a new connection, from who proved to be `peer`; say if it was expected."""
        expected = self._expected.get(nonce)
        if expected is None or expected.peer != peer:
            return False
        expected.arrived.set()
        return True

    async def serve(self, peer: ID, path: Path | None, call: AskDialBack) -> DialledBack | Declined:
        """Try to reach the caller, at the address that its connection comes from and nowhere else."""
        if path is None:
            return Declined(reason="a relay stands between us: I cannot see where you are")
        if not self._admit(origin_of(path.remote.host)):
            return Declined(reason="too many such questions lately")
        self._running += 1
        try:
            target = Address(path.remote.family, path.remote.host, call.port)
            result = await self._bring(peer, target, call.nonce)
        finally:
            self._running -= 1
        self.served += 1
        return DialledBack(host=path.remote.host, port=path.remote.port, result=result)

    def _admit(self, origin: str) -> bool:
        now = trio.current_time()
        times = [at for at in self._recent.pop(origin, []) if now - at < EVERY]
        allowed = self._running < AT_ONCE and len(times) < PER_HOST
        self._recent[origin] = [*times, now] if allowed else times
        while len(self._recent) > _MOST_HOSTS:
            self._recent.popitem(last=False)
        return allowed

    async def _bring(self, peer: ID, target: Address, nonce: bytes) -> DialBackResult:
        socket = trio.socket.socket(target.socket_family, trio.socket.SOCK_STREAM)
        with socket, trio.move_on_after(ATTEMPT):
            try:
                await socket.connect((target.host, target.port))
            except ConnectionRefusedError:
                return "refused"
            except OSError:
                return "silent"
            return await self._hand_over(peer, trio.SocketStream(socket), nonce)
        return "silent"

    async def _hand_over(self, peer: ID, stream: trio.SocketStream, nonce: bytes) -> DialBackResult:
        raw = RawConnection(BriefReader(TrioTCPStream(stream)), initiator=True)
        try:
            secured = await self._swarm.upgrader.upgrade_security(raw, is_initiator=True, peer_id=peer)
            await MultiselectClient().select_one_of(
                [TProtocol(DIAL_BACK_PROTOCOL)], MultiselectCommunicator(secured), int(ATTEMPT)
            )
            await secured.write(nonce)
            return "reached" if await secured.read(1) == NONCE_ACCEPTED else "stranger"
        except Exception:  # noqa: BLE001 - whatever listens there and however it fails, it is not the caller
            return "stranger"
