"""One of two processes that send bytes to each other over bare TCP connections: the yardstick.

`python -m benchmarks.exchange.raw COUNT [HOST PORT]` listens, or calls. Then each line of standard input has
two numbers: of bytes to send, and to receive meanwhile, over all connections together.
"""

import json
import os
import sys

import trio

PIECE = 256 * 1024


async def main(count: int, *where: str) -> None:
    """Connect, and exchange as told."""
    if where:
        streams = [await trio.open_tcp_stream(where[0], int(where[1])) for _ in range(count)]
        print(json.dumps({}), flush=True)
    else:
        [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
        print(json.dumps({"ports": [listener.socket.getsockname()[1]]}), flush=True)
        streams = [await listener.accept() for _ in range(count)]
        print(json.dumps({}), flush=True)
    async with trio.lowlevel.FdStream(os.dup(sys.stdin.fileno())) as stdin:
        while line := await stdin.receive_some(64):
            out, back = (int(number) // count for number in line.split())
            began = trio.current_time()
            async with trio.open_nursery() as nursery:
                for stream in streams:
                    nursery.start_soon(_send, stream, out)
                    nursery.start_soon(_receive, stream, back)
            print(json.dumps({"seconds": trio.current_time() - began}), flush=True)


async def _send(stream: trio.SocketStream, size: int) -> None:
    piece = memoryview(bytes(PIECE))
    while size:
        size -= len(part := piece[:size])
        await stream.send_all(part)


async def _receive(stream: trio.SocketStream, size: int) -> None:
    while size:
        data = await stream.receive_some(min(PIECE, size))
        if not data:
            raise SystemExit("the other side hung up")
        size -= len(data)


if __name__ == "__main__":
    trio.run(main, int(sys.argv[1]), *sys.argv[2:])
