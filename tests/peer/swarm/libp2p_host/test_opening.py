"""Bringing a host up and down: addresses, errors that a person can mend, and nothing left open."""

import gc
import logging
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from peer.errors import Exit, ListenError
from peer.swarm.libp2p_host import ConnectionLimits, open_transport
from protocol.identity import Identity
from tests.peer.swarm.libp2p_host.support import LOOPBACK, ask, contact_of, ours, until

pytestmark = pytest.mark.anyio
IDENTITY = Identity(bytes([7] * 32))


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@pytest.mark.parametrize(
    "address",
    ["", "nonsense", "/ip4/127.0.0.1/udp/1/quic-v1", "/dns4/localhost/tcp/0", "/ip4/127.0.0.1/tcp/99999"],
)
async def test_malformed_address(address):
    with pytest.raises(ListenError, match="cannot listen on") as caught:
        async with open_transport(IDENTITY, [address]):
            pass
    assert caught.value.code is Exit.LISTEN_FAILED
    assert "\n" not in str(caught.value)


async def test_no_address():
    with pytest.raises(ListenError):
        async with open_transport(IDENTITY, []):
            pass


async def test_address_of_another_machine():
    with pytest.raises(ListenError, match="for all of them"):
        async with open_transport(IDENTITY, ["/ip4/192.0.2.1/tcp/0"]):
            pass


async def test_port_in_use():
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen(1)
        with pytest.raises(ListenError, match="holds this port"):
            async with open_transport(IDENTITY, [f"/ip4/127.0.0.1/tcp/{holder.getsockname()[1]}"]):
                pass


async def test_port_in_use_by_another_of_our_kind():
    async with ours(1) as one:
        where = one.addresses[0].partition("/p2p/")[0]
        with pytest.raises(ListenError, match="holds this port"):
            async with ours(2, listen=[where]):
                pass


async def test_port_is_free_again_at_once():
    async with ours(1) as one, ours(2) as two:
        where = one.addresses[0].partition("/p2p/")[0]
        await ask(two, contact_of(one))
        await ask(one, contact_of(two))
    async with ours(1, listen=[where]) as one:
        assert one.addresses[0].startswith(where)


async def test_two_addresses():
    async with ours(1, listen=[*LOOPBACK, "/ip6/::1/tcp/0"]) as one:
        assert sorted(address.split("/")[1] for address in one.addresses) == ["ip4", "ip6"]
        async with ours(2) as two:
            for address in one.addresses:
                assert await two.dial(address) == one.peer_id
                await two.hang_up(one.peer_id)


async def test_wildcard_is_announced_by_its_interfaces():
    async with open_transport(IDENTITY, ["/ip4/0.0.0.0/tcp/0"]) as host:
        assert all("/0.0.0.0/" not in address and "/127." not in address for address in host.addresses)
    async with open_transport(IDENTITY, ["/ip4/0.0.0.0/tcp/0"], announce_loopback=True) as host:
        assert any(address.startswith("/ip4/127.0.0.1/tcp/") for address in host.addresses)
        assert all(address.endswith(f"/p2p/{IDENTITY.peer_id}") for address in host.addresses)
        assert not any("/tcp/0/" in address for address in host.addresses)


async def test_stock_host_announces_the_wildcard():
    from libp2p import new_host
    from multiaddr import Multiaddr

    where = [Multiaddr("/ip4/0.0.0.0/tcp/0")]
    host = new_host(listen_addrs=where)
    async with host.run(where):
        assert "/ip4/0.0.0.0/" in str(host.get_addrs()[0])
        await host.close()


async def test_error_in_the_body_comes_out_as_it_is():
    with pytest.raises(KeyError, match="mine"):
        async with ours(1):
            raise KeyError("mine")


async def collect() -> None:
    """Collect garbage, and let what trio starts for a generator that nobody closed come to its end."""
    gc.collect()
    await wait_all_tasks_blocked()


async def test_nothing_is_left_open():
    async def meet() -> None:
        async with ours(1) as one, ours(2) as two, ours(3, limits=ConnectionLimits(handshake=1)) as three:
            await ask(one, contact_of(two))
            await ask(three, contact_of(one))
            await two.dial(three.addresses[0])

    await meet()
    await collect()
    tasks, files = trio.lowlevel.current_statistics().tasks_living, open_files()
    for _ in range(3):
        await meet()
    await collect()
    assert trio.lowlevel.current_statistics().tasks_living == tasks
    assert open_files() == files


async def test_cancelled_hosts_leave_nothing_open():
    """At whatever moment of their start, dial and talk."""

    async def live(limit: float) -> None:
        with trio.move_on_after(limit):
            async with ours(1) as one, ours(2) as two:
                await ask(one, contact_of(two))
                await trio.sleep_forever()

    await live(0.2)
    await collect()
    tasks, files = trio.lowlevel.current_statistics().tasks_living, open_files()
    for step in range(15):
        await live(0.004 * step)
        await collect()
        assert trio.lowlevel.current_statistics().tasks_living == tasks
        assert open_files() == files


async def test_many_connections_are_closed_together():
    async with ours(1) as hub, trio.open_nursery() as nursery:

        async def spoke(number: int) -> None:
            async with ours(number) as host:
                await host.dial(hub.addresses[0])
                await trio.sleep_forever()

        for number in range(2, 12):
            nursery.start_soon(spoke, number)
        await until(lambda: len(hub.connected()) == 10)
        with trio.fail_after(1.5):
            nursery.cancel_scope.cancel()
            await until(lambda: not hub.connected())


def test_libp2p_prints_nothing():
    """In a program that configures no logging, as ours does on start."""
    program = """
import trio
from trio.testing import wait_all_tasks_blocked
from tests.peer.swarm.libp2p_host.support import *
async def main():
    async with ours(1) as one:
        async with ours(2) as two:
            async def fail(stream):
                raise RuntimeError("a bug")
            one.handle("/test/fail/1", fail)
            try:
                await two.open_stream(contact_of(one), "/test/fail/1")
            except Exception:
                pass
            stream = await trio.open_tcp_stream("127.0.0.1", port_of(one))
            await stream.send_all(b"garbage" * 100)
            await stream.aclose()
            await ask(two, contact_of(one))
trio.run(main)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60, check=True)
    assert done.stdout == b""
    assert done.stderr == b""
    assert logging.getLogger("libp2p").level > logging.CRITICAL


async def test_a_forwarded_address_is_announced_and_none_of_the_machine_before_somebody_has_proved_it():
    public = "/ip4/203.0.113.7/tcp/4001"
    async with open_transport(IDENTITY, LOOPBACK, announce=[public]) as transport:
        assert transport.addresses == (f"{public}/p2p/{IDENTITY.peer_id}",)
        assert len(transport.candidates) == 1


@pytest.mark.parametrize(
    "address", ["nonsense", "/ip4/0.0.0.0/tcp/4001", "/ip4/203.0.113.7/tcp/0", "/dns4/x/tcp/1"]
)
async def test_what_leads_nowhere_is_not_announced(address):
    with pytest.raises(ListenError, match="cannot announce"):
        async with open_transport(IDENTITY, LOOPBACK, announce=[address]):
            pass
