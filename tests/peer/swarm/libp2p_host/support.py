"""Hosts to test with: ours, and stock ones that play the hostile peer."""

import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import trio
from libp2p import new_host
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.crypto.x25519 import create_new_key_pair as create_noise_key
from libp2p.host.basic_host import BasicHost
from libp2p.network.config import ConnectionConfig
from libp2p.peer.peerinfo import info_from_p2p_addr
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE
from libp2p.security.noise.transport import Transport as Noise
from multiaddr import Multiaddr

from peer.swarm.libp2p_host import ConnectionLimits, RelayLimits, TableLimits, open_transport
from peer.swarm.libp2p_host.node import Libp2pTransport
from peer.swarm.rate import FOR_OTHERS, RateLimit
from peer.swarm.transport import Contact, Stream
from protocol.identity import Identity

USUAL = ConnectionLimits()
USUAL_TABLE = TableLimits()
USUAL_RELAY = RelayLimits()
LOOPBACK = ["/ip4/127.0.0.1/tcp/0"]
ECHO = "/test/echo/1"
MULTISTREAM = b"\x13/multistream/1.0.0\n"


async def echo(stream: Stream) -> None:
    while data := await stream.receive_some(65536):
        await stream.send_all(data)


@asynccontextmanager
async def ours(
    number: int,
    listen: Iterable[str] = LOOPBACK,
    limits: ConnectionLimits = USUAL,
    table: TableLimits = USUAL_TABLE,
    relay: RelayLimits = USUAL_RELAY,
    relay_rate: float = FOR_OTHERS,
) -> AsyncIterator[Libp2pTransport]:
    """One of our hosts; it serves ECHO."""
    identity = Identity(number.to_bytes(32, "big"))
    opening = open_transport(
        identity,
        list(listen),
        limits=limits,
        table_limits=table,
        relay_limits=relay,
        relay_rate=RateLimit(relay_rate),
    )
    async with opening as transport:
        assert isinstance(transport, Libp2pTransport)
        transport.handle(ECHO, echo)
        yield transport


@asynccontextmanager
async def stock(number: int) -> AsyncIterator[BasicHost]:
    """A host as libp2p makes it, but for noise alone and no eagerness to connect."""
    keys = create_new_key_pair(number.to_bytes(32, "big"))
    addresses = [Multiaddr(LOOPBACK[0])]
    host = new_host(
        key_pair=keys,
        sec_opt={NOISE: Noise(keys, noise_privkey=create_noise_key().private_key)},
        listen_addrs=addresses,
        connection_config=ConnectionConfig(min_connections=0, low_watermark=0, high_watermark=0),
    )
    async with host.run(addresses):
        try:
            yield host
        finally:
            with trio.CancelScope(shield=True):
                await host.close()


async def befriend(host: BasicHost, transport: Libp2pTransport):
    """Connect a stock host to one of ours, and return its end of the connection, a yamux."""
    info = info_from_p2p_addr(Multiaddr(transport.addresses[0]))
    await host.connect(info)
    return host.get_network().connections[info.peer_id][0].muxed_conn


def contact_of(transport: Libp2pTransport) -> Contact:
    addresses = tuple(address.partition("/p2p/")[0] for address in transport.addresses)
    return Contact(transport.peer_id, addresses)


def port_of(transport: Libp2pTransport) -> int:
    return int(transport.addresses[0].split("/")[4])


async def ask(client: Libp2pTransport, server: Contact, question: bytes = b"are you there?") -> bytes:
    """Send a question over ECHO and return the answer."""
    with trio.fail_after(10):
        stream = await client.open_stream(server, ECHO)
        await stream.send_all(question)
        answer = b""
        while len(answer) < len(question):
            answer += await stream.receive_some(65536)
        await stream.aclose()
        return answer


async def assert_serves(transport: Libp2pTransport) -> None:
    """A newcomer is served."""
    async with ours(0xABCDEF) as newcomer:
        assert await ask(newcomer, contact_of(transport)) == b"are you there?"


async def until(condition: Callable[[], object], limit: float = 60) -> None:
    """Wait for a state for which libp2p has no event."""
    with trio.fail_after(limit):
        while not condition():  # noqa: ASYNC110
            await trio.sleep(0.005)


@asynccontextmanager
async def child(number: int, *bootstrap: str) -> AsyncIterator[tuple[trio.Process, str]]:
    """A host in a process of its own, and its address; continued and killed at the end."""
    command = [sys.executable, "-m", "tests.peer.swarm.libp2p_host.child", str(number), *bootstrap]
    root = Path(__file__).parents[4]
    process = await trio.lowlevel.open_process(command, stdout=subprocess.PIPE, cwd=root)
    assert process.stdout is not None
    try:
        with trio.fail_after(20):
            line = b""
            while not line.endswith(b"\n"):
                piece = await process.stdout.receive_some(1000)
                assert piece, "the child died"
                line += piece
        yield process, line.decode().strip()
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()
            await process.stdout.aclose()
