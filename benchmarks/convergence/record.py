"""The committed record of a table, and its loss curves."""

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.convergence.tables import Case, Table
from benchmarks.record import ROOT, write_record

Results = Mapping[str, Sequence[dict[str, Any]]]
"""By the arm's name, what came of each seed."""


@dataclass(frozen=True)
class Line:
    """A curve of the picture."""

    label: str
    points: list[tuple[float, float]]


def keep(name: str, table: Table, cases: Sequence[Case], folder: Path) -> None:
    """Write benchmarks/records/convergence-NAME.json and .png from the results that are there."""
    found: dict[str, list[dict[str, Any]]] = {}
    for case in cases:
        file = folder / f"{case.name}.json"
        if file.exists():
            found.setdefault(case.arm.name, []).append(json.loads(file.read_text(encoding="utf-8")))
    if not found:
        raise SystemExit(f"no result of {name} is in {folder}")
    seconds = sum(result["seconds"] for results in found.values() for result in results)
    first = next(iter(found.values()))[0]
    setting = {key: value for key, value in first["setting"].items() if key != "seed"}
    arms = [_summary(arm, results) for arm, results in found.items()]
    write_record(f"convergence-{name}", {"setting": setting, "arms": arms}, seconds)
    lines = _training(found) if table.against is None else _against(found, table.against)
    draw(lines, table.against, f"convergence-{name}")


def _summary(name: str, results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    first = results[0]
    arm = {key: value for key, value in first["arm"].items() if key != "name" and value not in ((), [])}
    every = first["arm"]["every"]
    summary: dict[str, Any] = {
        "name": name,
        "average": _figures([result["average"] for result in results]),
        "single": _figures(
            [statistics.fmean(result["singles"]) if result["singles"] else None for result in results]
        ),
        "bits_a_parameter_and_outer_step_each_way": first["bits"] and round(first["bits"] * every, 3),
        "seeds": [result["setting"]["seed"] for result in results],
        "arm": arm,
    }
    if first.get("slow") is not None:
        summary["average_of_slow_weights"] = _figures([result["slow"] for result in results])
    if first.get("wire"):
        summary["failed_blocks"] = max(result["wire"]["failed"] for result in results)
        summary["failed_blocks_of_the_worst_outer_step"] = max(
            result["wire"]["failed_worst"] for result in results
        )
    return summary


def _figures(values: Sequence[float | None]) -> dict[str, Any]:
    """Return the figures of all seeds; None stands for a run that has diverged."""
    each = [None if value is None else round(value, 4) for value in values]
    known = [value for value in each if value is not None]
    return {"mean": round(statistics.fmean(known), 4) if len(known) == len(each) else None, "each": each}


def _mean(results: Sequence[dict[str, Any]]) -> float:
    """Return the mean over the seeds; NaN, which is drawn as a gap, where one has diverged."""
    losses = [result["average"] for result in results]
    return math.nan if None in losses else statistics.fmean(losses)


def _training(found: Results) -> list[Line]:
    """One line an arm: how its loss fell, over the inner steps."""
    lines = []
    for name, results in found.items():
        curve = [point for point in results[0]["curve"] if "average" in point]
        points = [(point["step"], point["average"]) for point in curve]
        lines.append(Line(f"{name}: {_mean(results):.4f}", points))
    return lines


def _against(found: Results, key: str) -> list[Line]:
    """One line for all arms that differ in `key` alone: their last loss, over its value."""
    lines: dict[str, Line] = {}
    for name, results in found.items():
        label = name.rpartition(",")[0]
        line = lines.setdefault(label, Line(label, []))
        line.points.append((results[0]["arm"][key], _mean(results)))
    return list(lines.values())


def draw(lines: Sequence[Line], against: str | None, name: str) -> None:
    """Write benchmarks/records/NAME.png."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(9, 6), dpi=110)
    for line in lines:
        steps, losses = zip(*sorted(line.points), strict=True)
        axes.plot(steps, losses, label=line.label, linewidth=1.2, marker="." if against else "")
    axes.set_xlabel(against or "inner steps of each replica")
    axes.set_ylabel("held-out loss of the replicas' average, nats a token")
    axes.set_title(name)
    axes.legend(fontsize="small")
    axes.grid(visible=True, which="both", linewidth=0.3)
    figure.tight_layout()
    figure.savefig(ROOT / "benchmarks" / "records" / f"{name}.png")
    plt.close(figure)
