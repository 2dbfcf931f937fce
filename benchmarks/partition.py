"""A swarm of whole peers is cut in two for two minutes and mended: both halves go on and come together.

Each peer has a host of its own in network namespaces; a cut drops every packet between the halves.

    sudo python -m benchmarks.partition [--peers 4 --before 60 --cut 120 --after 120]

Needs root, `ip` and `nft`. Prints JSON and keeps it as `benchmarks/records/partition.json`.
"""

import argparse
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.record import write_record
from benchmarks.routers import FORWARDED_PORT, Internet, missing
from tests.processes.support import SMALL_RUN, PeerProcess

LISTEN = f"/ip4/0.0.0.0/tcp/{FORWARDED_PORT}"

SETTLED = 30.0
"""Seconds at the end of a phase of which the consensus distance is taken."""

CUT_AFTER = 2
"""Moments: the start, and the end of the first phase."""

RETURNED = 1.5
"""Times the distance before the cut that it may be at the end."""


@dataclass(frozen=True, slots=True)
class Phase:
    """Between two moments, in seconds since 1970."""

    name: str
    begins: float
    ends: float


def main() -> None:
    """Cut, mend, and write the record."""
    parser = argparse.ArgumentParser(description="Partition of a swarm.")
    parser.add_argument("--peers", type=int, default=4)
    parser.add_argument("--before", type=float, default=60.0, help="seconds of one swarm")
    parser.add_argument("--cut", type=float, default=120.0, help="seconds of two halves")
    parser.add_argument("--after", type=float, default=120.0, help="seconds of one swarm again")
    wanted = parser.parse_args()
    if (reason := missing()) is not None:
        sys.exit(f"benchmarks.partition: {reason}")
    # Whoever ends us ends the peers and takes down the namespaces, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    began = time.monotonic()
    results = _run(wanted.peers, wanted.before, wanted.cut, wanted.after)
    write_record("partition", results, time.monotonic() - began)
    if failures := _failures(results):
        sys.exit("; ".join(failures))


def _run(count: int, before: float, cut: float, after: float) -> dict[str, Any]:
    peers: list[PeerProcess] = []
    with Internet() as internet, tempfile.TemporaryDirectory() as folder:
        hosts = [internet.public() for _ in range(count)]
        near, far = ([address for _, address in half] for half in (hosts[: count // 2], hosts[count // 2 :]))
        try:
            _start(peers, Path(folder), [inside for inside, _ in hosts])
            steps = [_steps(peers)]
            moments = [time.time()]
            for seconds in (before, cut, after):
                time.sleep(seconds)
                steps.append(_steps(peers))
                moments.append(time.time())
                if len(moments) == CUT_AFTER:
                    internet.part(near, far)
                else:
                    internet.heal()
            return _report(peers, moments, steps)
        finally:
            for peer in peers:
                peer.process.terminate()
            for peer in peers:
                peer.wait()


def _start(peers: list[PeerProcess], home: Path, insides: list[list[str]]) -> None:
    (home / "run.toml").write_text(SMALL_RUN)
    founder = PeerProcess(home / "peer0", "--run", str(home / "run.toml"), inside=insides[0], listen=LISTEN)
    peers.append(founder)
    address = founder.address
    for number, inside in enumerate(insides[1:], start=1):
        peers.append(
            PeerProcess(home / f"peer{number}", "--bootstrap", address, inside=inside, listen=LISTEN)
        )
    for peer in peers:
        peer.wait_for("exchange_done")


def _steps(peers: Sequence[PeerProcess]) -> list[int]:
    return [int(peer.status()["inner_step"]) for peer in peers]


def _report(peers: Sequence[PeerProcess], moments: list[float], steps: list[list[int]]) -> dict[str, Any]:
    names = {_peer_id(peer): number for number, peer in enumerate(peers)}
    half = len(peers) // 2
    done = [
        (told["time"], number, names[told["partner"]], told["relative_distance"])
        for number, peer in enumerate(peers)
        for told in peer.events
        if told["event"] == "exchange_done" and told["partner"] in names
    ]
    across = [each for each in done if (each[1] < half) != (each[2] < half)]
    phases = [
        Phase(name, *moments[at : at + 2]) for at, name in enumerate(("one swarm", "two halves", "mended"))
    ]
    mended = [each for each in across if each[0] > moments[2]]
    return {
        "peers": len(peers),
        "model": "18 k parameters",
        "phases": [
            {
                "phase": phase.name,
                "seconds": round(phase.ends - phase.begins, 1),
                "inner_steps": [late - early for early, late in zip(steps[at], steps[at + 1], strict=True)],
                "exchanges": [
                    sum(_within(each[0], phase) and each[1] == peer for each in done)
                    for peer in range(len(peers))
                ],
                "exchanges_across": sum(_within(each[0], phase) for each in across),
                "distance_ratio_at_its_end": _distance(done, phase),
            }
            for at, phase in enumerate(phases)
        ],
        "seconds_until_the_halves_exchange": round(min(each[0] for each in mended) - moments[2], 1)
        if mended
        else None,
        "distance_ratio_across_at_first": round(mended[0][3], 4) if mended else None,
        "splits_noticed": sum(told["event"] == "split_noticed" for peer in peers for told in peer.events),
    }


def _peer_id(peer: PeerProcess) -> str:
    return next(str(told["peer_id"]) for told in peer.drain() if told["event"] == "started")


def _within(moment: float, phase: Phase) -> bool:
    return phase.begins <= moment < phase.ends


def _distance(done: list[tuple[float, int, int, float]], phase: Phase) -> float | None:
    last = [each[3] for each in done if max(phase.begins, phase.ends - SETTLED) <= each[0] < phase.ends]
    return round(statistics.median(last), 4) if last else None


def _failures(results: dict[str, Any]) -> list[str]:
    whole, cut, mended = results["phases"]
    found = []
    if min(cut["inner_steps"]) == 0 or min(cut["exchanges"]) == 0:
        found.append("a half did not go on")
    if cut["exchanges_across"]:
        found.append("the cut did not cut")
    if not mended["exchanges_across"]:
        found.append("the halves did not meet again")
    distance, before = mended["distance_ratio_at_its_end"], whole["distance_ratio_at_its_end"]
    if distance is None or before is None or distance > RETURNED * before:
        found.append(f"the distance was {before} and is {distance}")
    return found


if __name__ == "__main__":
    main()
