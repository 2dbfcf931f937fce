"""Forward ports through a link of the ladder: `python -m peer.links --link 4g 4001 4002`.

Prints `PORT` lines once they can be called on 127.0.0.2, and ends with its standard input.
"""

import argparse
import sys
from contextlib import AsyncExitStack

import trio

from peer.links.ladder import LADDER, MBIT, even
from peer.links.shaper import Shaper


def main() -> None:
    """Forward until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ports", type=int, nargs="+")
    parser.add_argument("--link", choices=LADDER, help="of the ladder; else --rtt and --rate make one")
    parser.add_argument("--rtt", type=float, default=0.0, metavar="MS")
    parser.add_argument("--rate", type=float, default=float("inf"), metavar="MBIT/S")
    parser.add_argument("--warm", action="store_true", help="no slow start")
    wanted = parser.parse_args()
    link = even("custom", wanted.rtt / 1000, wanted.rate * MBIT, slow_start=not wanted.warm)
    if wanted.link:
        link = LADDER[wanted.link]
    trio.run(_forward, Shaper(link), wanted.ports)


async def _forward(shaper: Shaper, ports: list[int]) -> None:
    async with AsyncExitStack() as stack:
        for port in ports:
            print(await stack.enter_async_context(shaper.forwarding(port)), flush=True)
        async with trio.lowlevel.FdStream(sys.stdin.fileno()) as stdin:
            while await stdin.receive_some(4096):
                pass


if __name__ == "__main__":
    main()
