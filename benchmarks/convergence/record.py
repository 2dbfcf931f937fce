"""The committed record of a table, and its loss curves."""

import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.convergence.tables import Case
from benchmarks.record import ROOT, write_record


def keep(table: str, cases: Sequence[Case], folder: Path) -> None:
    """Write benchmarks/records/convergence-TABLE.json and .png from the results that are there."""
    found: dict[str, list[dict[str, Any]]] = {}
    for case in cases:
        file = folder / f"{case.name}.json"
        if file.exists():
            found.setdefault(case.arm.name, []).append(json.loads(file.read_text(encoding="utf-8")))
    if not found:
        raise SystemExit(f"no result of {table} is in {folder}")
    seconds = sum(result["seconds"] for results in found.values() for result in results)
    first = next(iter(found.values()))[0]
    setting = {key: value for key, value in first["setting"].items() if key != "seed"}
    arms = [_summary(name, results) for name, results in found.items()]
    write_record(f"convergence-{table}", {"setting": setting, "arms": arms}, seconds)
    _draw(found, ROOT / "benchmarks" / "records" / f"convergence-{table}.png", table)


def _summary(name: str, results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    first = results[0]
    arm = {key: value for key, value in first["arm"].items() if key != "name" and value not in ((), [])}
    every = first["arm"]["every"]
    summary: dict[str, Any] = {
        "name": name,
        "average": _figures([result["average"] for result in results]),
        "single": _figures([statistics.fmean(result["singles"]) for result in results]),
        "bits_a_parameter_and_outer_step_each_way": round(first["bits"] * every, 3),
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


def _figures(values: Sequence[float]) -> dict[str, Any]:
    each = [round(value, 4) for value in values]
    return {"mean": round(statistics.fmean(values), 4), "each": each}


def _draw(found: dict[str, list[dict[str, Any]]], path: Path, title: str) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(9, 6), dpi=110)
    for name, results in found.items():
        curve = [point for point in results[0]["curve"] if "average" in point]
        last = statistics.fmean(result["average"] for result in results)
        axes.plot(
            [point["step"] for point in curve],
            [point["average"] for point in curve],
            label=f"{name}: {last:.4f}",
            linewidth=1.2,
        )
    axes.set_xlabel("inner steps of each replica")
    axes.set_ylabel("held-out loss of the replicas' average, nats a token")
    axes.set_title(f"convergence, {title}")
    axes.legend(fontsize="small")
    axes.grid(visible=True, which="both", linewidth=0.3)
    figure.tight_layout()
    figure.savefig(path)
    plt.close(figure)
