"""TLS sockets between two peers with pinned certificates, as `peer.swarm.transport.Stream`."""

import hmac
import ssl
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import trio
from trio.abc import Stream as RawStream

from peer.swarm.bulk.tickets import Ticket, selector
from peer.swarm.bulk.tls import TlsStream
from peer.swarm.transport import TransportError
from protocol.bulk_calls import SELECTOR_BYTES, TOKEN_BYTES

DIAL = 3.0
"""Seconds to open a lane: where only the main port is forwarded, packets to ours vanish without a word."""

HANDSHAKE = 5.0
"""Seconds that a caller has from the connection to the token."""


_SOME = 16 * 1024


@dataclass(slots=True)
class Traffic:
    """Bytes of all our lanes, before encryption."""

    received: int = 0
    sent: int = 0


class LaneStream:
    """A lane's bytes, both ways."""

    def __init__(self, tls: TlsStream, peer_id: str, traffic: Traffic) -> None:
        self._tls = tls
        self._peer_id = peer_id
        self._traffic = traffic

    @property
    def peer_id(self) -> str:
        """Who showed the certificate that this peer named on its stream."""
        return self._peer_id

    async def send_all(self, data: bytes | memoryview) -> None:
        """See `Stream`."""
        with _as_transport_error(self._peer_id):
            await self._tls.send_all(data)
        self._traffic.sent += len(data)

    async def receive_into(self, buffer: memoryview) -> int:
        """Fill a buffer as far as what has come allows; return its number of bytes, 0 at the end."""
        with _as_transport_error(self._peer_id):
            size = await self._tls.receive_into(buffer)
        self._traffic.received += size
        return size

    async def receive_some(self, limit: int) -> bytes:
        """See `Stream`."""
        buffer = bytearray(min(limit, _SOME))
        with memoryview(buffer) as view:
            size = await self.receive_into(view)
        return bytes(buffer[:size])

    async def aclose(self) -> None:
        """See `Stream`."""
        await self.reset()

    async def reset(self) -> None:
        """See `Stream`."""
        with trio.CancelScope(shield=True):
            await self._tls.close()


Dial = Callable[[str, int], Awaitable[RawStream]]
"""Connects to a port of a host. Raises `OSError` or `TransportError`."""


async def call(
    dial: Dial, where: tuple[str, int], token: bytes, context: ssl.SSLContext, peer_id: str, traffic: Traffic
) -> LaneStream:
    """Open a lane to where a peer answers.

    Raises:
        TransportError: nobody does in time, or somebody else.
    """
    with trio.move_on_after(DIAL), _as_transport_error(peer_id):
        raw = await dial(*where)
        tls = TlsStream(raw, context, server_side=False)
        try:
            await raw.send_all(selector(token))
            await tls.handshake()
            await tls.send_all(token)
        except BaseException:
            await trio.aclose_forcefully(raw)
            raise
        return LaneStream(tls, peer_id, traffic)
    raise TransportError(f"no answer on port {where[1]} in {DIAL:g} s")


async def answer(
    raw: RawStream,
    silent: AbstractContextManager[None],
    redeem: Callable[[bytes], AbstractContextManager[Ticket | None]],
    traffic: Traffic,
) -> LaneStream:
    """Let a caller prove that it holds a token of ours, and the certificate that the token is for.

    Args:
        raw: the connection.
        silent: lasts until the caller has said which token it has.
        redeem: gives the ticket of that token.
        traffic: counts its bytes.

    Raises:
        TransportError: it does not, or not in time.
    """
    with trio.move_on_after(HANDSHAKE), _as_transport_error("a caller"):
        with silent:
            key = await _exactly(raw.receive_some, SELECTOR_BYTES)
        with redeem(key) as ticket:
            if ticket is None:
                raise TransportError("a caller has no token")
            tls = TlsStream(raw, ticket.context, server_side=True)
            await tls.handshake()
            stream = LaneStream(tls, ticket.peer_id, traffic)
            token = await _exactly(stream.receive_some, TOKEN_BYTES)
            if tls.shown != ticket.certificate or not hmac.compare_digest(token, ticket.token):
                raise TransportError(f"a caller is not {ticket.peer_id}")
            return stream
    raise TransportError(f"a caller has not proved itself in {HANDSHAKE:g} s")


async def _exactly(receive_some: Callable[[int], Awaitable[bytes | bytearray]], length: int) -> bytes:
    data = b""
    while len(data) < length:
        part = await receive_some(length - len(data))
        if not part:
            raise TransportError("a caller hung up")
        data += part
    return data


@contextmanager
def _as_transport_error(who: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ssl.SSLError, trio.BrokenResourceError, trio.ClosedResourceError) as error:
        raise TransportError(f"the lane to {who} broke: {error.__cause__ or error}") from error
