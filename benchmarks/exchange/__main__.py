"""Seconds and CPU seconds for two peers to exchange a tensor, beside bare TCP, libp2p alone and hivemind.

Two processes over links that the shaper of the tests makes; the ways of moving it take turns, and medians are
kept. The one who called fetches an object, or both fetch one of the other's at the same time. On a `steady`
link TCP's window is open, as after some seconds of use; else each transfer begins with slow start. hivemind's
averager averages the same tensor, on loopback.

    HIVEMIND_PYTHON=.hivemind/bin/python python -m benchmarks.exchange

An environment with hivemind 1.1.12 is optional; without it that comparison is left out.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks.exchange.arms import FAR, NEAR, Arm, Averagers, Child, Peers, Raw, Transfer, python
from benchmarks.record import write_record
from peer.swarm.bulk.distance import lanes_for

MB = 1_000_000

ASKING = 0.002
"""Seconds that an ask takes beside its link's round trip, about: at 100 ms peers open six lanes, not five."""

Summary = dict[str, Any]
Summaries = dict[str, Summary]
"""By the ways in which it moved."""


@dataclass(frozen=True, slots=True)
class Case:
    """One link and one size."""

    megabytes: int
    round_trip_ms: int
    megabits: int | None
    """None: loopback as it is."""
    rounds: int
    steady: bool = True


GOAL = Case(40, 100, 1000, rounds=7)
LOOPBACK = Case(40, 0, None, rounds=7)
CASES = (
    LOOPBACK,
    Case(400, 0, None, rounds=3),
    Case(40, 20, 1000, rounds=5),
    GOAL,
    Case(40, 100, 1000, rounds=3, steady=False),
    Case(400, 100, 1000, rounds=2),
    Case(40, 100, 100, rounds=2),
    Case(40, 200, 1000, rounds=3),
)


def main() -> None:
    """Measure every case, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only", type=int, nargs="+", help="cases to measure, by their number from 0")
    wanted = parser.parse_args()
    began = time.monotonic()
    chosen = [CASES[index] for index in wanted.only] if wanted.only else CASES
    measured = {case: _measure(case) for case in chosen}
    interpreter = os.environ.get("HIVEMIND_PYTHON")
    hivemind = _hivemind(interpreter, LOOPBACK) if interpreter else None
    results = {
        "cases": [{**asdict(case), **arms} for case, arms in measured.items()],
        "hivemind": hivemind,
        "goals": _goals(measured, hivemind),
    }
    write_record("exchange", results, time.monotonic() - began)


def _measure(case: Case) -> dict[str, Summaries]:
    count = lanes_for(case.round_trip_ms / 1000 + ASKING, case.megabytes * MB)
    found: dict[str, dict[str, list[Transfer]]] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=_memory())))
        arms: list[Arm] = [
            Peers(stack, folder, lanes=True),
            Peers(stack, folder, lanes=False),
            Raw(stack, count),
            Raw(stack, 1),
        ]
        host = NEAR if case.megabits is None else _shape(stack, case, arms)
        for arm in arms:
            arm.connect(host)
            found[arm.name] = {"one_way": [], "both_ways": []}
        for index in range(case.rounds + 1):
            for way, arm in product(("one_way", "both_ways"), arms):
                moved = arm.move(case.megabytes * MB, both_ways=way == "both_ways")
                found[arm.name][way].append(moved)
                print(f"{case} {index} {arm.name} {way}: {moved.seconds:.2f} s", file=sys.stderr)
    return {
        arm: {way: _summary(moved, case.megabytes, 1 + (way == "both_ways")) for way, moved in ways.items()}
        for arm, ways in found.items()
    }


def _shape(stack: ExitStack, case: Case, arms: list[Arm]) -> str:
    ports = [str(port) for arm in arms for port in arm.ports]
    link = [
        "--rtt",
        str(case.round_trip_ms),
        "--rate",
        str(case.megabits),
        *(["--warm"] if case.steady else []),
    ]
    shaper = stack.enter_context(Child(*python("peer.links", *link, *ports)))
    for _ in ports:
        shaper.hear()
    return FAR


def _summary(transfers: list[Transfer], megabytes: int, ways: int) -> Summary:
    """Keep the first apart: in it lanes are opened, and connections learn how far they reach."""
    first, *others = transfers
    seconds = statistics.median(each.seconds for each in others)
    cpu = statistics.median(each.cpu_seconds for each in others)
    summary: Summary = {
        "seconds": [round(each.seconds, 3) for each in others],
        "seconds_median": round(seconds, 3),
        "seconds_first": round(first.seconds, 3),
        "megabytes_a_second_each_way": round(megabytes / seconds, 1),
        "cpu_seconds_median": round(cpu, 3),
        "cpu_seconds_a_gigabyte": round(cpu * 1000 / (megabytes * ways), 2),
    }
    if lanes := others[-1].told[0].get("lanes"):
        summary["lanes"] = lanes
    return summary


def _hivemind(interpreter: str, case: Case) -> Summary:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        averagers = Averagers(stack, interpreter, folder, case.megabytes * MB)
        steps = [averagers.average() for _ in range(case.rounds + 1)]
    whole = [max(told["step_seconds"] for told in step.told) for step in steps[1:]]
    # Each sends half of its tensor, and the average of the other half: as much as an exchange of the whole.
    return {**_summary(steps, case.megabytes, 2), "step_seconds_median": round(statistics.median(whole), 3)}


def _goals(measured: dict[Case, dict[str, Summaries]], hivemind: Summary | None) -> dict[str, float]:
    """Compare with what was asked for, as far as it was measured; more is better."""
    goals: dict[str, float] = {}
    if GOAL in measured:
        arms = measured[GOAL]
        same = next(arm for arm in arms if arm.startswith("tcp_") and arm != "tcp_1")
        for way, arm in product(("one_way", "both_ways"), (same, "tcp_1", "libp2p")):
            goals[f"{way}_at_100_ms_times_{arm}"] = _times(arms[arm][way], arms["lanes"][way])
    if LOOPBACK in measured and hivemind is not None:
        lanes = measured[LOOPBACK]["lanes"]["both_ways"]
        goals["both_ways_on_loopback_times_hivemind"] = _times(hivemind, lanes)
    return goals


def _times(slow: Summary, fast: Summary) -> float:
    return round(float(slow["seconds_median"]) / float(fast["seconds_median"]), 3)


def _memory() -> str | None:
    shared = Path("/dev/shm")  # noqa: S108 - a private folder in it
    return str(shared) if shared.is_dir() else None


if __name__ == "__main__":
    main()
