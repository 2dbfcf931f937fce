"""A peer without a trainer: the real network side, and a toy that learns nothing. Starts in a second.

    python -m tests.processes.toy_peer NUMBER LISTEN [BOOTSTRAP ...]

prints its address, and then a JSON object whenever something about its partners has changed. It ends with its
standard input.
"""

import json
import random
import sys
import tempfile
from collections import Counter
from pathlib import Path

import trio

from peer.simulate.flock import Record
from peer.simulate.learner import ToyLearner
from peer.swarm.libp2p_host import open_transport
from peer.swarm.objects import ObjectStore
from peer.swarm.swarm import Run, Swarm
from protocol.identity import Identity
from protocol.manifest import Manifest, sign

LOOK = 0.2
STEP = 2.0
JITTER = 0.5


def identity(number: int) -> Identity:
    """The key pair of a toy peer; 0 has founded the run."""
    return Identity(number.to_bytes(32, "big"))


def _report(swarm: Swarm, record: Record, others: dict[str, int]) -> dict[str, object]:
    transport, reach = swarm._transport, swarm.reach.statistics()
    connected = {others.get(peer_id, -1): transport.relayed(peer_id) for peer_id in transport.connected()}
    partners = Counter(
        others.get(outcome.partner, -1) for outcome in record.outcomes if outcome.result == "done"
    )
    return {
        "reachable": reach.verdict.reachable,
        "nat": reach.verdict.nat,
        "announced": reach.announced,
        "direct": sorted(number for number, relayed in connected.items() if not relayed),
        "relayed": sorted(number for number, relayed in connected.items() if relayed),
        "partners": dict(sorted(partners.items())),
    }


async def main(number: int, listen: str, bootstraps: tuple[str, ...]) -> None:
    founder, own = identity(0), identity(number)
    others = {identity(each).peer_id: each for each in range(16)}
    manifest = Manifest(founder=founder.public_key, codecs=("fp32",))
    with tempfile.TemporaryDirectory() as folder:
        toy = ToyLearner(
            spool=Path(folder),
            values=[float(number)] * manifest.outer.fragments,
            seconds=STEP,
            jitter=JITTER,
            rng=random.Random(number),
            outer_steps=10**6,
            padding=20_000,
        )
        record = Record()
        async with open_transport(own, [listen]) as transport, trio.open_nursery() as nursery:
            run = Run(sign(manifest, founder), manifest, bootstraps)
            swarm = Swarm(transport, own, run, toy, ObjectStore(Path(folder)), record)
            toy.publish = swarm.new_share
            print(transport.addresses[0], flush=True)
            nursery.start_soon(swarm.run)
            nursery.start_soon(toy.run)
            nursery.start_soon(_tell, swarm, record, others)
            async with trio.lowlevel.FdStream(sys.stdin.fileno()) as stdin:
                while await stdin.receive_some(4096):
                    pass
            nursery.cancel_scope.cancel()


async def _tell(swarm: Swarm, record: Record, others: dict[str, int]) -> None:
    told = None
    while True:
        report = _report(swarm, record, others)
        if report != told:
            told = report
            print(json.dumps(report), flush=True)
        await trio.sleep(LOOK)


if __name__ == "__main__":
    trio.run(main, int(sys.argv[1]), sys.argv[2], tuple(sys.argv[3:]))
