"""A libp2p host that no peer's stream can end."""

from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress

import trio
from libp2p.abc import INetStream
from libp2p.host.basic_host import BasicHost
from libp2p.peer.id import ID
from multiaddr import Multiaddr

from peer.swarm.libp2p_host.limits import ConnectionLimits
from peer.swarm.libp2p_host.swarm import GuardedSwarm


class GuardedHost(BasicHost):  # type: ignore[misc]
    """Negotiates and serves streams.

    Attributes:
        failures: inbound streams that were refused, or whose negotiation or handler failed.
        on_identified: called with each peer that has told its addresses and protocols.
    """

    def __init__(
        self,
        swarm: GuardedSwarm,
        announce: Callable[[list[Multiaddr]], list[Multiaddr]],
        limits: ConnectionLimits,
    ) -> None:
        super().__init__(
            swarm,
            addrs_factory=announce,
            disable_identify_address_discovery=True,  # four peers could make us announce what they like
            negotiate_timeout=max(1, int(limits.dial)),
        )
        self.swarm = swarm
        self.failures = 0
        self.on_identified: Callable[[ID], Awaitable[object]] = _ignore
        self._limits = limits
        self._serving: Counter[ID] = Counter()

    async def _identify_peer(self, peer_id: ID, *, reason: str) -> None:
        # libp2p runs this as a system task of trio, where an exception ends the whole program.
        with suppress(Exception):
            await super()._identify_peer(peer_id, reason=reason)
            await self.on_identified(peer_id)

    async def _swarm_stream_handler(self, net_stream: INetStream) -> None:
        """Negotiate and serve one inbound stream.

        In stock 0.8.1 an exception from a handler, or from a protocol name that is no UTF-8, ends the whole
        host. Drop when a libp2p release contains it.
        """
        peer = net_stream.muxed_conn.peer_id
        if (
            self._serving[peer] >= self._limits.streams_per_peer
            or self._serving.total() >= self._limits.streams
        ):
            self.failures += 1
            await reset_quietly(net_stream)
            return
        self._serving[peer] += 1
        try:
            await super()._swarm_stream_handler(net_stream)
            self.failures += net_stream.get_protocol() is None  # negotiation failed; stock code tells nobody
        except Exception:  # noqa: BLE001 - a failure concerns one stream, whatever it is
            self.failures += 1
            await reset_quietly(net_stream)
        finally:
            self._serving[peer] -= 1
            if not self._serving[peer]:
                del self._serving[peer]


async def reset_quietly(stream: INetStream) -> None:
    """Drop a stream. Its frame never waits for the peer (see `frames`), so a cancelled task may do it."""
    await _finish(stream.reset)


async def close_quietly(stream: INetStream) -> None:
    """Close a stream and forget what the peer might still send on it."""

    async def close_and_forget() -> None:
        await stream.close()
        await stream.muxed_conn.forget(stream.muxed_stream)

    await _finish(close_and_forget)


async def _finish(act: Callable[[], Awaitable[None]]) -> None:
    # What fails here is a stream whose connection is gone, and the stream with it.
    with trio.CancelScope(shield=True), suppress(Exception):
        await act()


async def _ignore(_: ID) -> None:
    pass
