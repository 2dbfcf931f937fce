"""Draws a picture from its data, and keeps in the file which data they were."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from handbook.pictures import curves, kinds, sketches

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "pictures"

STYLE: Any = {
    "svg.fonttype": "none",  # text stays text, for readers and for searching
    "svg.hashsalt": "murmuration",
    "font.family": "sans-serif",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": "medium",
    "legend.frameon": False,
}


@dataclass(frozen=True, slots=True)
class Picture:
    """How one is drawn: its data, what puts them into a figure, and its size in inches."""

    data: Callable[[], object]
    draw: Callable[[Figure, Any], None]
    size: tuple[float, float] = (7.0, 3.6)


PICTURES: dict[str, Picture] = {
    "rules": Picture(curves.rules, curves.draw_rules),
    "late": Picture(curves.late, curves.draw_late),
    "codecs": Picture(curves.codecs, curves.draw_codecs),
    "faults": Picture(curves.faults, curves.draw_faults),
    "step-then-mix": Picture(sketches.step_then_mix, sketches.draw_step_then_mix),
    "modulo": Picture(sketches.modulo, sketches.draw_modulo, (7.0, 2.4)),
    "barrier": Picture(sketches.barrier, sketches.draw_barrier, (7.0, 3.8)),
    "fragments": Picture(kinds.fragments, kinds.draw_fragments, (7.0, 3.6)),
    "votes": Picture(kinds.votes, kinds.draw_votes, (7.0, 1.9)),
}


def digest(name: str) -> str:
    """Return what names a picture's data: another record is another picture."""
    return hashlib.sha256(json.dumps(PICTURES[name].data()).encode()).hexdigest()[:16]


def save(name: str, folder: Path = FOLDER) -> Path:
    """Write one picture."""
    picture = PICTURES[name]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=picture.size, layout="constrained")
        picture.draw(figure, picture.data())
        path = folder / f"{name}.svg"
        about = {"Date": None, "Title": name, "Description": f"data {digest(name)}"}
        figure.savefig(path, format="svg", metadata=about)
    return path
