"""A libp2p host as one run's DHT sees it: its own protocol, bounded questions, no second try at the dead."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import trio
from libp2p.abc import INetStream
from libp2p.custom_types import TProtocol
from libp2p.host.exceptions import StreamFailure
from libp2p.io.exceptions import IOException
from libp2p.kad_dht.common import PROTOCOL_ID as STOCK_PROTOCOL
from libp2p.peer.id import ID
from libp2p.peer.peerstore import PeerStore

from peer.swarm.libp2p_host.host import GuardedHost
from peer.swarm.libp2p_host.limits import TableLimits

_MAX_MESSAGE = 128 * 1024
"""Bytes read from one DHT stream; 20 peers with 16 addresses and a signed record each are 20 KiB.

Stock 0.8.1 takes 4 MiB, which is seconds of parsing addresses.
"""

_SERVED_FOR = 10.0
"""Seconds for one inbound question; stock 0.8.1 waits for ever."""

_SERVED_AT_ONCE = 12
"""Inbound questions at once; stock 0.8.1 has as many slots, and refuses when they are taken."""

_SERVED_PER_PEER = 4


class RunHost:
    """What KadDHT uses of a host.

    Two defects of stock 0.8.1 are mended here, since every question passes `new_stream`. The
    `protocol_prefix` of KadDHT is ignored, so that all runs, and the public IPFS, would be one table. And a
    peer that does not answer costs 10 seconds at every question, for ever. Drop each when a libp2p release
    mends it.

    Attributes:
        bans: how many peers were left alone for a while.
    """

    def __init__(self, host: GuardedHost, protocol: TProtocol, limits: TableLimits) -> None:
        self._host = host
        self._store = _RunPeerStore(host.get_peerstore(), protocol)
        self._protocol = protocol
        self._limits = limits
        self._banned: dict[ID, float] = {}
        self._slots = trio.CapacityLimiter(_SERVED_AT_ONCE)
        self._peer_slots: dict[ID, trio.CapacityLimiter] = {}
        self.bans = 0
        self.on_answer: Callable[[ID], Awaitable[object]] = _nothing
        self.on_silence: Callable[[ID], object] = _nothing_at_once

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - the rest is the host's
        return getattr(self._host, name)

    def get_peerstore(self) -> "_RunPeerStore":
        """Return the host's store, which calls the run's protocol by the stock name."""
        return self._store

    def is_banned(self, peer: ID) -> bool:
        """Whether a peer has not answered lately."""
        if self._banned.get(peer, 0.0) > trio.current_time():
            return True
        self._banned.pop(peer, None)
        return False

    def set_stream_handler(
        self, protocol: TProtocol, handler: Callable[[INetStream], Awaitable[None]]
    ) -> None:
        """Serve a protocol of the DHT, each peer a few questions at a time and none for long."""

        async def serve(stream: INetStream) -> None:
            peer = stream.muxed_conn.peer_id
            self._banned.pop(peer, None)  # it lives
            own_slots = self._peer_slots.setdefault(peer, trio.CapacityLimiter(_SERVED_PER_PEER))
            try:
                async with own_slots, self._slots:
                    await handler(_BoundedStream(stream, trio.current_time() + _SERVED_FOR))
            finally:
                if not own_slots.borrowed_tokens and not own_slots.statistics().tasks_waiting:
                    self._peer_slots.pop(peer, None)

        self._host.set_stream_handler(self._named(protocol), serve)

    async def new_stream(self, peer: ID, protocols: Sequence[TProtocol]) -> "_BoundedStream":
        """Open a stream for one question.

        Raises:
            IOException: the peer did not answer now or lately, or is not in this run.
        """
        if self.is_banned(peer):
            raise IOException("it has not answered lately")
        deadline = trio.current_time() + self._limits.answer
        try:
            with trio.fail_at(deadline):
                stream = await self._host.new_stream(peer, [self._named(protocol) for protocol in protocols])
        except StreamFailure as error:
            raise IOException("it is not in this run, or too busy") from error
        except Exception as error:
            self._ban(peer)
            raise IOException(f"it cannot be asked: {error!r}") from error
        await self.on_answer(peer)
        return _BoundedStream(stream, deadline, lambda: self._ban(peer))

    def _named(self, protocol: TProtocol) -> TProtocol:
        return self._protocol if protocol == STOCK_PROTOCOL else protocol

    def _ban(self, peer: ID) -> None:
        # The connection stays: it may carry an exchange, and has its own pings.
        self.bans += 1
        self._banned[peer] = trio.current_time() + self._limits.ban
        self.on_silence(peer)
        if len(self._banned) > 4096:
            del self._banned[next(iter(self._banned))]


class _RunPeerStore:
    """The peer store, in which only members of the run speak Kademlia."""

    def __init__(self, store: PeerStore, protocol: TProtocol) -> None:
        self._store = store
        self._protocol = str(protocol)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - the rest is the store's
        return getattr(self._store, name)

    def get_protocols(self, peer: ID) -> list[str]:
        """Return the protocols of a peer, the run's under the stock name."""
        names: list[str] = self._store.get_protocols(peer)
        others = [name for name in names if name not in (self._protocol, STOCK_PROTOCOL)]
        return [str(STOCK_PROTOCOL), *others] if self._protocol in names else others

    def peer_ids(self) -> list[ID]:
        """Return nobody: a lookup that runs out of neighbours would dial everybody we ever heard of."""
        return []


class _BoundedStream:
    """A stream of the DHT that ends at a deadline and after `_MAX_MESSAGE` bytes."""

    metric_send_channel = None

    def __init__(
        self, stream: INetStream, deadline: float, on_silence: Callable[[], None] = lambda: None
    ) -> None:
        self.muxed_conn = stream.muxed_conn
        self._stream = stream
        self._deadline = deadline
        self._on_silence = on_silence
        self._left = _MAX_MESSAGE

    async def read(self, limit: int) -> bytes:
        """Read up to `limit` bytes."""
        if not self._left:
            raise IOException("the message is too long")
        data: bytes = await self._bounded(self._stream.read, min(limit, self._left))
        self._left -= len(data)
        return data

    async def write(self, data: bytes) -> None:
        """Write all of `data`."""
        await self._bounded(self._stream.write, data)

    async def close(self) -> None:
        """Close the stream."""
        await self._stream.close()

    async def reset(self) -> None:
        """Reset the stream."""
        await self._stream.reset()

    async def _bounded(self, act: Callable[..., Awaitable[Any]], argument: object) -> Any:  # noqa: ANN401
        try:
            with trio.fail_at(self._deadline):
                return await act(argument)
        except trio.TooSlowError as error:
            self._on_silence()
            raise IOException("no answer in time") from error


async def _nothing(_: ID) -> None:
    pass


def _nothing_at_once(_: ID) -> None:
    pass
