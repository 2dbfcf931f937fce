"""Pictures of what was measured: losses by rule, delay, codec and failures."""

import json
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

RECORDS = Path(__file__).parents[2] / "benchmarks" / "records"

COLOURS = {
    "gossip": "#00796b",
    "streaming-gossip": "#4db6ac",
    "noloco": "#e65100",
    "diloco": "#3949ab",
    "streaming-diloco": "#9fa8da",
    "data-parallel": "#546e7a",
}
LABELS = {"data-parallel": "one model on all batches"}

Curves = dict[str, list[tuple[float, float]]]


def _arms(name: str) -> list[dict[str, Any]]:
    record = json.loads((RECORDS / f"convergence-{name}.json").read_text(encoding="utf-8"))
    arms: list[dict[str, Any]] = record["results"]["arms"]
    return [arm for arm in arms if arm["average"]["mean"] is not None]


def rules() -> dict[str, list[float]]:
    """Return the losses of each rule's average, a seed each."""
    return {arm["name"]: arm["average"]["each"] for arm in _arms("rules") if arm["name"] in COLOURS}


def draw_rules(figure: Figure, data: dict[str, list[float]]) -> None:
    """Draw a point for each seed."""
    axes = figure.subplots()
    for row, (name, losses) in enumerate(sorted(data.items(), key=lambda each: -sum(each[1]))):
        axes.plot(losses, [row] * len(losses), "o", color=COLOURS[name], markersize=9, alpha=0.7)
        mean = sum(losses) / len(losses)
        axes.annotate(f"{mean:.3f}", (mean, row), (0, 9), textcoords="offset points", ha="center")
    names = sorted(data, key=lambda name: -sum(data[name]))
    axes.set_yticks(range(len(names)), [LABELS.get(name, name) for name in names])
    axes.set_ylim(-0.6, len(names) - 0.3)
    axes.set_xlabel("held-out loss of the replicas' average, nats a token (8 replicas, 3 seeds)")
    axes.grid(axis="x", alpha=0.3)


def late() -> Curves:
    """Return the losses over how late mixes land, in parts of an outer step."""
    found: Curves = {}
    for arm in _arms("delay"):
        name, where = arm["name"].partition(",")[0], arm["arm"]["delay"] / arm["arm"]["every"]
        found.setdefault(name, []).append((where, arm["average"]["mean"]))
    return {name: sorted(points) for name, points in found.items()}


def draw_late(figure: Figure, data: Curves) -> None:
    """Draw a curve for each rule."""
    _draw(figure, data, "how late mixes land, in parts of an outer step (4 replicas, H = 50)")


def faults() -> Curves:
    """Return the losses over the share of exchanges that fail."""
    found: Curves = {}
    for arm in _arms("faults"):
        name, _, what = arm["name"].partition(", ")
        if what.endswith("dropped"):
            found.setdefault(name, []).append((100 * arm["arm"]["drop"], arm["average"]["mean"]))
    return {name: sorted(points) for name, points in found.items()}


def draw_faults(figure: Figure, data: Curves) -> None:
    """Draw a curve for each rule."""
    _draw(figure, data, "exchanges that fail, % (8 replicas, H = 25)")


def codecs() -> Curves:
    """Return the losses of the pairwise rules over the bits a value that `modulo` sends; 32 is fp32."""
    found: Curves = {}
    for arm in _arms("codecs"):
        name, _, codec = arm["name"].partition(", ")
        bits = {"fp32": 32, "bf16": 16, "modulo4": 4, "modulo3": 3, "modulo2": 2}.get(codec.partition(",")[0])
        if name in ("gossip", "noloco") and bits and "exact" not in codec:
            found.setdefault(name, []).append((bits, arm["average"]["mean"]))
    return {name: sorted(points) for name, points in found.items()}


def draw_codecs(figure: Figure, data: Curves) -> None:
    """Draw a curve for each rule, cut where it leaves the picture."""
    _draw(figure, data, "bits a value (8 replicas, H = 25; 2 bits drive peers apart)")
    (axes,) = figure.axes
    axes.set_xscale("log", base=2)
    axes.set_xticks([2, 3, 4, 8, 16, 32], ["2", "3", "4", "8", "16", "32"])
    axes.minorticks_off()
    axes.set_ylim(1.74, 2.1)


def _draw(figure: Figure, data: Curves, label: str) -> None:
    axes = figure.subplots()
    for name, points in data.items():
        axes.plot(*zip(*points, strict=True), marker="o", color=COLOURS[name], label=name)
    axes.set_xlabel(label)
    axes.set_ylabel("held-out loss, nats a token")
    axes.grid(alpha=0.3)
    axes.legend()
