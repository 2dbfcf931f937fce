"""Houses on loopback addresses of their own, on real sockets: calls pass both lines, and lines can be cut."""

import signal
import subprocess
import sys
from contextlib import asynccontextmanager, suppress
from functools import partial

import pytest
import trio

from peer.links import switch as module
from peer.links.houses import House
from peer.links.ladder import Link, Way
from peer.links.switch import Switch, joined

pytestmark = pytest.mark.anyio
NEAR, FAR, STRANGER, OUTSIDE = "127.0.0.11", "127.0.0.12", "127.0.0.13", "127.0.0.14"
SLOW = Link("slow", Way(0.04), Way(0.04))
SLOWER = Link("slower", Way(0.08), Way(0.08))


@pytest.fixture
def anyio_backend():
    return "trio"


async def _echo(stream):
    async for data in stream:
        await stream.send_all(data)


@asynccontextmanager
async def _town():
    """Run a switch between one who calls and one who answers; give it and the port of the latter."""
    listeners = await trio.open_tcp_listeners(0, host=FAR)
    port = listeners[0].socket.getsockname()[1]
    switch = Switch([House(NEAR, SLOW, ()), House(FAR, SLOWER, (port,))], seed=1)
    async with switch.forwarding(OUTSIDE) as nursery:
        nursery.start_soon(trio.serve_listeners, _echo, listeners)
        yield switch, port


async def _call(host, port):
    """Return a connection from a house, and the seconds of the quickest of some echoes over it."""
    stream = await trio.open_tcp_stream(OUTSIDE, port, local_address=host)
    took = []
    for _ in range(4):
        began = trio.current_time()
        await stream.send_all(b"!")
        assert await stream.receive_some(1) == b"!"
        took.append(trio.current_time() - began)
    return stream, min(took)


async def test_a_call_passes_the_line_of_the_caller_and_of_the_called():
    async with _town() as (switch, port):
        stream, seconds = await _call(NEAR, port)
        await stream.aclose()
        assert seconds >= 0.24
        stream, seconds = await _call(STRANGER, port)
        await stream.aclose()
        assert 0.16 <= seconds < 0.24, "whoever has no line of its own passes one only"
        told = switch.statistics()
        assert (told.calls, told.strangers) == (2, 1)


async def test_a_line_that_is_cut_carries_nothing_for_a_while_and_breaks_nothing(monkeypatch, capsys):
    monkeypatch.setattr(module, "OUTAGE", (0.5, 0.5))
    async with _town() as (switch, port):
        stream, _ = await _call(NEAR, port)
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(switch.cut_one)
            while not switch.statistics().cuts:
                await trio.lowlevel.checkpoint()
            await stream.send_all(b"!")
            assert await stream.receive_some(1) == b"!"
        assert trio.current_time() - began >= 0.5
        await stream.aclose()
    said = capsys.readouterr().err.splitlines()
    assert [line.split()[-1] for line in said] == ["s", "again"]


def test_two_links_are_one_to_a_connection():
    link = joined(SLOW, SLOWER)
    assert link.round_trip == pytest.approx(0.24)
    assert link.name == "slow to slower"


async def test_the_command_cuts_a_line_by_signal_and_ends_by_signal():
    listeners = await trio.open_tcp_listeners(0, host=OUTSIDE)
    port = listeners[0].socket.getsockname()[1]
    await listeners[0].aclose()
    command = [sys.executable, "-m", "peer.links.switch", f"localhost=fibre:{port}"]
    async with trio.open_nursery() as nursery:
        process = await nursery.start(partial(trio.run_process, command, stderr=subprocess.PIPE))
        while True:
            with suppress(OSError):
                await (await trio.open_tcp_stream(OUTSIDE, port)).aclose()
                break
        process.send_signal(signal.SIGUSR1)
        assert b"the line of localhost is cut" in await process.stderr.receive_some()
        process.send_signal(signal.SIGTERM)
