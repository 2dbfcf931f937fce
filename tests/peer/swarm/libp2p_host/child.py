"""A host in a process of its own, that a test can freeze. It prints its address, and serves."""

import sys

import trio

from peer.swarm.transport import Stream
from tests.peer.swarm.libp2p_host.rules import RUN, NumberedRecords
from tests.peer.swarm.libp2p_host.support import ours

SINK = "/test/sink/1"


async def sink(stream: Stream) -> None:
    while await stream.receive_some(1 << 20):
        pass


async def serve(number: int, bootstrap: list[str]) -> None:
    async with ours(number) as host:
        host.handle(SINK, sink)
        await host.join_table(RUN, [], NumberedRecords())
        for address in bootstrap:
            await host.dial(address)
        print(host.addresses[0], flush=True)
        await trio.sleep_forever()


if __name__ == "__main__":
    trio.run(serve, int(sys.argv[1]), sys.argv[2:])
