"""yamux that a hostile, frozen or vanished peer cannot fill, block or outlive."""

import struct
from collections.abc import Callable

import trio
from libp2p.abc import IMuxedConn, ISecureConn
from libp2p.custom_types import TProtocol
from libp2p.io.exceptions import ConnectionClosedError
from libp2p.io.utils import read_exactly
from libp2p.peer.id import ID
from libp2p.protocol_muxer.generic_selector import GenericMultistreamSelector
from libp2p.security.noise.io import MAX_PLAINTEXT_LENGTH
from libp2p.stream_muxer.exceptions import MuxedStreamError
from libp2p.stream_muxer.muxer_multistream import MuxerMultistream
from libp2p.stream_muxer.yamux import yamux
from libp2p.stream_muxer.yamux.yamux import (
    FLAG_SYN,
    PROTOCOL_ID,
    TYPE_PING,
    TYPE_WINDOW_UPDATE,
    YAMUX_HEADER_FORMAT,
    Yamux,
    YamuxStream,
)

from peer.swarm.libp2p_host.frames import FrameQueue
from peer.swarm.libp2p_host.paths import carrier, through_relay
from protocol.reach_calls import DIAL_BACK_PROTOCOL, NONCE_BYTES

MAX_FRAME = 1 << 20
"""Bytes of one DATA frame. Every yamux sends at most 64 KiB; stock 0.8.1 would read 16 MiB into memory."""

MAX_STREAMS = 512
"""Open streams of one connection, either side's."""

NONCE_ACCEPTED = b"\x01"

# A DATA frame of stock size is 17 bytes too long for one noise message, and goes out as two: a quarter of the
# throughput. Drop when a libp2p release measures its frames by noise.
yamux.MAX_MESSAGE_SIZE = MAX_PLAINTEXT_LENGTH

_FIRST_PING = 0.5
_FLUSH = 1.0


class PeerMisbehavedError(trio.TooSlowError):
    """A peer broke yamux's rules.

    The base is what the stock read loop takes as the end of the connection; any other error it logs, and
    reads on.
    """


class _Buffer(bytearray):
    """What a stream has received and its reader has not yet taken.

    Stock 0.8.1 logs a peer that sends beyond the window which it was given, and buffers without end. Drop
    when a libp2p release closes such a connection.
    """

    __slots__ = ("_stream",)

    def __init__(self, stream: YamuxStream) -> None:
        super().__init__()
        self._stream = stream

    def extend(self, data: bytes) -> None:  # type: ignore[override]
        if len(data) > self._stream.recv_window:
            raise PeerMisbehavedError("the peer overran its window")
        super().extend(data)


class _Buffers(dict[int, bytearray]):
    """The buffers of a connection's streams, at most MAX_STREAMS; stock 0.8.1 takes any number."""

    def __init__(self, streams: dict[int, YamuxStream]) -> None:
        super().__init__()
        self._streams = streams

    def __setitem__(self, stream_id: int, _: bytearray) -> None:
        if len(self) >= MAX_STREAMS:
            raise PeerMisbehavedError("too many streams are open")
        super().__setitem__(stream_id, _Buffer(self._streams[stream_id]))


class GuardedYamux(Yamux):  # type: ignore[misc]
    """One connection's streams.

    Args:
        secured_conn: the encrypted connection.
        peer_id: who is at its other end.
        ping_every: seconds between two pings. Stock 0.8.1 pings too, but an answer that never comes means
            nothing to it: a frozen peer stays connected for ever. Drop when a libp2p release closes the
            connection.
        ping_within: seconds for the answer.
    """

    def __init__(self, secured_conn: ISecureConn, peer_id: ID, ping_every: float, ping_within: float) -> None:
        super().__init__(secured_conn, peer_id, is_initiator=secured_conn.is_initiator)
        self.stream_buffers = _Buffers(self.streams)
        self._frames = FrameQueue(secured_conn.write)
        self._ping_every = ping_every
        self._ping_within = ping_within
        self._unread: dict[int, bytearray] = {}

    async def start(self) -> None:
        """Serve the connection until it ends."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._write_frames)
            await super().start()
            nursery.cancel_scope.cancel()

    async def close(self, *args: int) -> None:
        """Close, after what has been sent is on its way."""
        with trio.move_on_after(_FLUSH):
            await self._frames.flush()
        await super().close(*args)

    async def open_stream(self) -> YamuxStream:
        """Open a stream. As stock, but nothing is left behind when this is cancelled."""
        await self.stream_backlog_semaphore.acquire()
        if self.event_shutting_down.is_set() or len(self.streams) >= MAX_STREAMS:
            self.stream_backlog_semaphore.release()
            raise MuxedStreamError("the connection is shutting down, or full")
        stream = YamuxStream(self.next_stream_id, self, is_initiator=True)
        stream._owns_backlog_slot = True  # noqa: SLF001 - as the stock method does
        self.next_stream_id += 2
        self.streams[stream.stream_id] = stream
        self.stream_buffers[stream.stream_id] = bytearray()
        self.stream_events[stream.stream_id] = trio.Event()
        await self._write_frame(_header(TYPE_WINDOW_UPDATE, FLAG_SYN, stream.stream_id, 0))
        return stream

    async def forget(self, stream: YamuxStream) -> None:
        """Drop a stream that we have closed though the peer has not: it might never."""
        async with self.streams_lock:
            stream.recv_closed = stream.closed = True
            self.streams.pop(stream.stream_id, None)
            self.stream_buffers.pop(stream.stream_id, None)
            waiting = self.stream_events.pop(stream.stream_id, None)
        if waiting is not None:
            waiting.set()

    def take_unread(self, stream_id: int, limit: int) -> bytes:
        """Return up to `limit` bytes that a stream had received when the connection ended.

        Stock 0.8.1 drops them, and so mostly the goodbye of a peer that leaves. Drop when a libp2p release
        keeps them.
        """
        unread = self._unread.get(stream_id, bytearray())
        taken = bytes(unread[:limit])
        del unread[:limit]
        return taken

    async def _cleanup_on_error(self) -> None:
        self._unread.update((stream, buffer) for stream, buffer in self.stream_buffers.items() if buffer)
        await super()._cleanup_on_error()

    async def _write_frame(self, data: bytes) -> None:
        try:
            await self._frames.put(data)
        except ConnectionClosedError:
            await self._hang_up()
            raise

    async def _write_frames(self) -> None:
        try:
            await self._frames.run()
        except Exception:  # noqa: BLE001 - whatever the wire raises ends this connection and no more
            await self._hang_up()

    async def _read_data_body(self, length: int) -> bytes:
        if length > MAX_FRAME:
            raise PeerMisbehavedError(f"a frame of {length} bytes")
        body: bytes = await super()._read_data_body(length)
        return body

    async def _measure_rtt_loop(self) -> None:
        await trio.sleep(_FIRST_PING)
        while not self.event_shutting_down.is_set():
            self._ping_id += 1
            self._ping_event = trio.Event()
            self._ping_sent_time = trio.current_time()
            try:
                await self._write_frame(_header(TYPE_PING, FLAG_SYN, 0, self._ping_id & 0xFFFFFFFF))
            except ConnectionClosedError:
                return
            with trio.move_on_after(self._ping_within) as waiting:
                await self._ping_event.wait()
            if waiting.cancelled_caught:
                await self._hang_up()
                return
            with trio.move_on_after(self._ping_every):
                await self.event_shutting_down.wait()

    async def _hang_up(self) -> None:
        # The read loop sees the end of the connection and cleans up; doing it here would race with that.
        await self.secured_conn.close()


class NonceBroughtError(Exception):
    """A connection that brought a nonce, and so has done what it was opened for."""


class GuardedMuxers(MuxerMultistream):  # type: ignore[misc]
    """Negotiates yamux and makes it a guarded one. The stock class names `Yamux` itself.

    Attributes:
        on_nonce: called with what a connection for dial-back brought; says whether it was expected.
    """

    def __init__(self, ping_every: float, ping_within: float) -> None:
        super().__init__({TProtocol(PROTOCOL_ID): GuardedYamux})
        self._inbound: GenericMultistreamSelector[type[GuardedYamux] | None] = GenericMultistreamSelector()
        self._inbound.add_handler(TProtocol(PROTOCOL_ID), GuardedYamux)
        self._inbound.add_handler(TProtocol(DIAL_BACK_PROTOCOL), None)
        self._ping_every = ping_every
        self._ping_within = ping_within
        self.on_nonce: Callable[[ID, bytes], bool] = _expects_none

    async def new_conn(self, conn: ISecureConn, peer_id: ID) -> IMuxedConn:
        """Agree on yamux over a secured connection, or take the nonce that an inbound one brings.

        Raises:
            NonceBroughtError: it was the latter.
        """
        selector = self._selector if conn.is_initiator else self._inbound
        protocol, kind = await selector.select(conn, conn.is_initiator, self.negotiate_timeout)
        if kind is None:
            nonce = await read_exactly(conn, NONCE_BYTES)
            # Through a relay we are reached whether or not anybody can dial us: that proves nothing.
            if not through_relay(carrier(conn)) and self.on_nonce(peer_id, nonce):
                await conn.write(NONCE_ACCEPTED)
            raise NonceBroughtError
        muxed = GuardedYamux(conn, peer_id, self._ping_every, self._ping_within)
        return self._annotate_connection(muxed, conn, protocol)


def _expects_none(_: ID, __: bytes) -> bool:
    return False


def _header(kind: int, flags: int, stream_id: int, length: int) -> bytes:
    return struct.pack(YAMUX_HEADER_FORMAT, 0, kind, flags, stream_id, length)
