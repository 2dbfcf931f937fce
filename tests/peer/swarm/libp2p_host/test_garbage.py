"""Strangers on the port who never prove who they are."""

import os
import socket
import struct
from contextlib import suppress

import pytest
import trio
import trio.testing

from peer.swarm.libp2p_host import ConnectionLimits
from tests.peer.swarm.libp2p_host.support import MULTISTREAM, assert_serves, ours, port_of, until

pytestmark = pytest.mark.anyio
NOISE = MULTISTREAM + b"\x07/noise\n"


GARBAGE = {
    "random": [os.urandom(5000)],
    "http": [b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n"],
    "not utf-8": [MULTISTREAM + b"\x05\xff\xfe\xfd\xfc\n"],
    "huge varint": [b"\xff" * 9 + b"\x7f"],
    "a name of 2 GB": [MULTISTREAM + b"\x80\x80\x80\x80\x08" + bytes(100_000)],
    "plaintext": [MULTISTREAM + b"\x11/plaintext/2.0.0\n"],
    "long noise": [NOISE, b"\xff\xff" + os.urandom(65535)],
    "bad noise": [NOISE, b"\x00\x20" + os.urandom(32), b"\x01\x00" + os.urandom(256)],
    "empty noise": [NOISE, b"\x00\x00" * 1000],
}


async def throw(pieces: list[bytes], port: int) -> None:
    """Send, and wait until the host hangs up."""
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        with trio.fail_after(5), suppress(trio.BrokenResourceError):
            for piece in pieces:
                await stream.send_all(piece)
                await trio.testing.wait_all_tasks_blocked()
            while await stream.receive_some(1000):
                pass


async def test_garbage_before_proof():
    async with ours(1, limits=ConnectionLimits(handshake=1)) as host:
        for pieces in GARBAGE.values():
            await throw(pieces, port_of(host))
        await until(lambda: not host._host.swarm._inbound_limiter.borrowed_tokens)
        assert not host.connected()
        await assert_serves(host)


async def test_connections_reset_before_proof():
    async with ours(1) as host:
        for greeting in (b"", MULTISTREAM, NOISE, NOISE + b"\x00\x20" + os.urandom(32)):
            for _ in range(5):
                stream = await trio.open_tcp_stream("127.0.0.1", port_of(host))
                await stream.send_all(greeting)
                stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                await stream.aclose()
        await until(lambda: not host._host.swarm._inbound_limiter.borrowed_tokens)
        await assert_serves(host)
