"""The sockets on both sides of a link."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from peer.links.roads import Flow

_BUFFER = 256 * 1024
"""Bytes in the kernel on each side: what waits belongs to the link, not to sockets of the forwarder."""


def shrink(raw: trio.socket.SocketType) -> None:
    """Let the kernel keep little."""
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)


@asynccontextmanager
async def call(host: str, port: int) -> AsyncIterator[trio.SocketStream]:
    """Connect to an IPv4 address.

    Raises:
        OSError: nobody answers there.
    """
    raw = trio.socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    far = trio.SocketStream(raw)
    try:
        shrink(raw)
        await raw.connect((host, port))
        yield far
    finally:
        await trio.aclose_forcefully(far)


async def carry(near: trio.SocketStream, far: trio.SocketStream, there: Flow, back: Flow) -> None:
    """Carry everything both ways until both have ended.

    Raises:
        trio.BrokenResourceError: one of them broke; perhaps inside an exception group.
    """
    async with trio.open_nursery() as nursery:
        nursery.start_soon(there.run, near, far)
        nursery.start_soon(back.run, far, near)
