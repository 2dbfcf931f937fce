"""One of two peers that exchange objects: the real host, the real lanes, the real pulls.

Each line of standard input is a JSON object with one key, and is answered with one: `hold` a new object of so
many bytes, `dial` an address, `pull` an object from a peer.
"""

import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import trio

from peer.swarm.bulk import Bulk, open_bulk
from peer.swarm.libp2p_host import open_transport
from peer.swarm.objects import ObjectStore
from peer.swarm.pieces import PieceServer
from peer.swarm.pull import Puller
from peer.swarm.service import Service
from peer.swarm.transport import Contact, Transport
from protocol.bulk_calls import AskLanes
from protocol.identity import Identity
from protocol.messages import STREAM_PROTOCOL, Got, ObjectRef, Pull

RUN = bytes(32)
HOST = "127.0.0.1"


class Peer:
    """Does what it is told."""

    def __init__(self, transport: Transport, bulk: Bulk | None, folder: Path) -> None:
        self._transport = transport
        self._store = ObjectStore(folder)
        self._bulk = bulk
        self._held: bytes | None = None
        pieces, service = PieceServer(self._store), Service(RUN)
        service.serve(Pull, pieces.serve)
        service.serve(Got, pieces.serve_got)
        if bulk is not None:
            service.serve(AskLanes, bulk.serve)
            bulk.serve_with(service.answer)
        self._puller = Puller(transport, RUN, lanes=bulk)
        transport.handle(STREAM_PROTOCOL, service.handle)

    async def hold(self, size: int) -> dict[str, Any]:
        """Hold a new object instead of the last."""
        if self._held is not None:
            self._store.retire(self._held)
        # In a thread: a peer that is silent for seconds is hung up on.
        sha256, name = await trio.to_thread.run_sync(self._make, size)
        self._store.add(ObjectRef(sha256=sha256, size=size), name)
        self._held = sha256
        return {"sha256": sha256.hex(), "size": size}

    def _make(self, size: int) -> tuple[bytes, str]:
        data = os.urandom(size)
        sha256 = hashlib.sha256(data).digest()
        name = f"held-{sha256.hex()}"
        (self._store.folder / name).write_bytes(data)
        return sha256, name

    async def dial(self, address: str) -> dict[str, Any]:
        """Connect."""
        return {"peer_id": await self._transport.dial(address)}

    async def pull(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """Fetch an object, whole and checked, and delete it."""
        ref = ObjectRef(sha256=bytes.fromhex(wanted["sha256"]), size=wanted["size"])
        before = self._lane_bytes()
        began = trio.current_time()
        with self._store.receive(ref) as incoming:
            await self._puller.pull(Contact(wanted["from"], ()), ref, incoming)
            incoming.check()
            seconds = trio.current_time() - began
        return {"seconds": seconds, "lane_bytes": self._lane_bytes() - before, "lanes": self._lanes()}

    def _lane_bytes(self) -> int:
        return self._bulk.statistics().bytes_in if self._bulk else 0

    def _lanes(self) -> int:
        return self._bulk.statistics().lanes if self._bulk else 0


async def main(seed: int, folder: Path, *, lanes: bool, calls: bool) -> None:
    """Serve, and obey."""
    identity = Identity(seed.to_bytes(32, "big"))
    async with open_transport(identity, [f"/ip4/{HOST}/tcp/0"]) as transport:
        # The peer that is dialled is never the one that opens lanes: around the shaped link it could.
        host_of = transport.direct_host if calls else _nowhere
        async with open_bulk(identity.peer_id, [HOST], 0, host_of) as bulk:
            peer = Peer(transport, bulk if lanes else None, folder)
            ports = [int(transport.addresses[0].split("/")[4]), bulk.port]
            print(json.dumps({"peer_id": identity.peer_id, "ports": ports}), flush=True)
            await _obey({"hold": peer.hold, "dial": peer.dial, "pull": peer.pull})


def _nowhere(peer_id: str) -> None:
    del peer_id


async def _obey(commands: dict[str, Callable[[Any], Awaitable[dict[str, Any]]]]) -> None:
    buffer = b""
    async with trio.lowlevel.FdStream(os.dup(sys.stdin.fileno())) as stdin:
        while data := await stdin.receive_some(65536):
            buffer += data
            while b"\n" in buffer:
                line, _, buffer = buffer.partition(b"\n")
                [(name, argument)] = json.loads(line).items()
                print(json.dumps(await commands[name](argument)), flush=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(dir=sys.argv[2]) as temporary:
        trio.run(
            lambda: main(
                int(sys.argv[1]),
                Path(temporary),
                lanes="lanes" in sys.argv[3:],
                calls="calls" in sys.argv[3:],
            )
        )
