"""Joins houses, each behind a line of its own: a call passes the line of who calls and of who is called.

    python -m peer.links.switch founder=fibre:4001,4002 volunteer-1=cable:4011,4012

SIGUSR1 cuts one of the lines for a while.

It needs no privileges. Houses are found by name, as containers are; each has ports that no other has, at
which the switch stands for it. So all have one address, that of the switch, wherever they are seen from.
"""

import argparse
import random
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace

import trio

from peer.links.carry import call, carry, shrink
from peer.links.houses import House, house
from peer.links.ladder import LADDER, Link, Way
from peer.links.roads import Flow, Road, Tandem

KNOWN_FOR = 5.0
"""Seconds for which an address is believed to be a house's: containers that start again get another."""

ANYWHERE = "0.0.0.0"  # noqa: S104 - it stands for the houses to whoever can see it

OUTAGE = (5.0, 20.0)
"""Seconds for which a line is cut: the least and the most."""


class Line:
    """The line of one house: all its connections share it, and it can be cut."""

    def __init__(self, link: Link, rng: random.Random) -> None:
        self.link = link
        self.up, self.down = Road(link.up, rng), Road(link.down, rng)

    async def cut(self, seconds: float) -> None:
        """Let nothing pass for a while. Connections stay open, as they do when a cable is pulled."""
        for road in (self.up, self.down):
            road.close()
        try:
            await trio.sleep(seconds)
        finally:
            for road in (self.up, self.down):
                road.reopen()


@dataclass(frozen=True, slots=True)
class SwitchStatistics:
    """What the switch has done."""

    calls: int
    """Connections that a house took."""
    strangers: int
    """Calls from an address of no house: they pass one line only."""
    cuts: int


class Switch:
    """Forwards calls between houses."""

    def __init__(self, houses: Sequence[House], *, seed: int | None = None) -> None:
        self._rng = random.Random(seed)
        self._houses = {house.name: house for house in houses}
        self._lines = {house.name: Line(house.link, self._rng) for house in houses}
        self._names: dict[str, str] = {}
        self._asked = float("-inf")
        self._cut: set[str] = set()
        self._calls = self._strangers = self._cuts = 0

    @asynccontextmanager
    async def forwarding(self, host: str = ANYWHERE) -> AsyncIterator[trio.Nursery]:
        """Forward what calls `host`; give a nursery that ends with it.

        Raises:
            OSError: a port is taken; perhaps inside an exception group.
        """
        async with trio.open_nursery() as nursery:
            for house in self._houses.values():
                for port in house.ports:
                    listeners = await trio.open_tcp_listeners(port, host=host)
                    for listener in listeners:
                        shrink(listener.socket)
                    nursery.start_soon(trio.serve_listeners, self._answering(house.name, port), listeners)
            yield nursery
            nursery.cancel_scope.cancel()

    async def cut_one(self) -> None:
        """Cut the line of a house, drawn at random among those that answer, for a while, and say so."""
        await self._look_around()
        whole = sorted(set(self._names.values()) - self._cut)
        if not whole:
            return
        name, seconds = self._rng.choice(whole), self._rng.uniform(*OUTAGE)
        print(f"the line of {name} is cut for {seconds:.0f} s", file=sys.stderr, flush=True)
        self._cuts += 1
        self._cut.add(name)
        try:
            await self._lines[name].cut(seconds)
        finally:
            self._cut.discard(name)
        print(f"the line of {name} is whole again", file=sys.stderr, flush=True)

    def _answering(self, name: str, port: int) -> Callable[[trio.SocketStream], Awaitable[None]]:
        async def answer(near: trio.SocketStream) -> None:
            try:
                await self._serve(near, name, port)
            except* (OSError, trio.BrokenResourceError, trio.ClosedResourceError):
                pass  # who broke it, and how, concerns the two ends alone
            finally:
                await trio.aclose_forcefully(near)

        return answer

    async def _serve(self, near: trio.SocketStream, name: str, port: int) -> None:
        caller = await self._house_at(near.socket.getpeername()[0])
        ours = self._lines[name]
        theirs = ours if caller is None else self._lines[caller]
        link = ours.link.turned() if caller is None else joined(theirs.link, ours.link)
        there = ours.down if caller is None else Tandem(theirs.up, ours.down)
        back = ours.up if caller is None else Tandem(ours.up, theirs.down)
        await theirs.up.passable()
        await ours.down.passable()
        # The handshake that the caller believes is over.
        await trio.sleep(link.round_trip)
        address = await _resolve(name)
        if address is None:
            return
        async with call(address, port) as far:
            self._calls += 1
            await carry(near, far, Flow(there, link), Flow(back, link))

    async def _house_at(self, address: str) -> str | None:
        if address not in self._names or trio.current_time() - self._asked > KNOWN_FOR:
            await self._look_around()
        found = self._names.get(address)
        self._strangers += found is None
        return found

    async def _look_around(self) -> None:
        """Learn at which addresses the houses are now."""
        found: dict[str, str] = {}

        async def ask(name: str) -> None:
            if (address := await _resolve(name)) is not None:
                found[address] = name

        async with trio.open_nursery() as nursery:
            for name in self._houses:
                nursery.start_soon(ask, name)
        self._names, self._asked = found, trio.current_time()

    def statistics(self) -> SwitchStatistics:
        """Counters since the start."""
        return SwitchStatistics(self._calls, self._strangers, self._cuts)


def joined(near: Link, far: Link) -> Link:
    """Return the way from one house to another as the caller sees it, for what a connection adapts to."""
    return replace(
        near,
        name=f"{near.name} to {far.name}",
        up=Way(delay=near.up.delay + far.down.delay),
        down=Way(delay=far.up.delay + near.down.delay),
        window=min(near.window, far.window),
    )


async def _resolve(name: str) -> str | None:
    with suppress(OSError):
        answers = await trio.socket.getaddrinfo(name, None, socket.AF_INET, socket.SOCK_STREAM)
        return str(answers[0][4][0])
    return None


def main() -> None:
    """Run a switch until SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    shape, links = "NAME=LINK:PORT,PORT", f"LINK is {', '.join(LADDER)}"
    parser.add_argument("houses", type=house, nargs="+", metavar=shape, help=links)
    trio.run(_run, Switch(parser.parse_args().houses))


async def _run(switch: Switch) -> None:
    numbers = signal.SIGTERM, signal.SIGINT, signal.SIGUSR1
    # As process 1 of a container it gets no signal that it has not asked for.
    with trio.open_signal_receiver(*numbers) as signals:
        async with switch.forwarding() as nursery:
            async for number in signals:
                if number != signal.SIGUSR1:
                    break
                nursery.start_soon(switch.cut_one)


if __name__ == "__main__":
    main()
