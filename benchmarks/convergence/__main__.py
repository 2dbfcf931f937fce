"""Compares outer rules, codecs and faults by held-out loss: one process, real model and text, many replicas.

    python -m benchmarks.convergence TABLE ...

runs the arms of tables that have no result in `--folder` yet. Start it again beside itself for each further
core: who takes an arm first has it. `--record` then writes benchmarks/records/convergence-TABLE.json and .png
from what is there.
"""

import argparse
import json
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from benchmarks.convergence.arm import Arm
from benchmarks.convergence.learner import Loss
from benchmarks.convergence.record import keep
from benchmarks.convergence.run import run
from benchmarks.convergence.tables import TABLES, Case
from benchmarks.record import ROOT


def main() -> None:
    """Run the arms that are missing, or write the record."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tables", choices=TABLES, nargs="+", metavar="TABLE", help=", ".join(TABLES))
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "convergence")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=[], help="names of arms")
    parser.add_argument("--compile", action="store_true", help="a fifth faster, after a minute's work")
    parser.add_argument("--record", action="store_true", help="run nothing: write the record and the curves")
    wanted = parser.parse_args()
    torch.set_num_threads(1)
    cases = {table: TABLES[table].cases(range(wanted.seeds)) for table in wanted.tables}
    if wanted.record:
        for table, found in cases.items():
            keep(table, TABLES[table], found, wanted.folder / table)
        return
    loss: Loss | None = None
    if wanted.compile:
        loss = torch.compile(lambda net, tokens: net(tokens), dynamic=False)
    for table, found in cases.items():
        folder = wanted.folder / table
        folder.mkdir(parents=True, exist_ok=True)
        for case in found:
            if not wanted.only or case.arm.name in wanted.only:
                _run(case, folder, loss)


def _run(case: Case, folder: Path, loss: Loss | None) -> None:
    file = folder / f"{case.name}.json"
    claim = file.with_suffix(".lock")
    if file.exists():
        return
    try:
        claim.touch(exist_ok=False)
    except FileExistsError:
        return
    try:
        results = _same(case, folder.parent) or run(case.arm, case.setting, folder.parent, loss, case.singles)
        partial = file.with_suffix(f".{os.getpid()}")
        partial.write_text(json.dumps(results), encoding="utf-8")
        partial.rename(file)
    finally:
        claim.unlink()
    now = time.strftime("%H:%M:%S")
    loss_now = "diverged" if results["average"] is None else f"{results['average']:.4f} nats"
    print(f"{now} {case.name}: {loss_now}, {results['seconds']:.0f} s", file=sys.stderr)


def _same(case: Case, folder: Path) -> dict[str, Any] | None:
    """Return what came of the same arm under another name, in another table."""
    wanted = json.loads(json.dumps({"arm": asdict(case.arm), "setting": asdict(case.setting)}))
    for file in folder.glob("*/*.json"):
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        plain = asdict(Arm(""))
        rule = plain["rule"] | found["arm"]["rule"]
        arm = plain | found["arm"] | {"name": case.arm.name, "rule": rule}
        if {"arm": json.loads(json.dumps(arm)), "setting": found["setting"]} == wanted:
            return found | {"arm": wanted["arm"]}
    return None


if __name__ == "__main__":
    main()
