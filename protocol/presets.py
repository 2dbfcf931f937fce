"""The constants that a preset of the outer rule stands for where `run.toml` does not give its own."""

from dataclasses import dataclass
from typing import Literal

from protocol.limits import MAX_GROUP

Landing = Literal["add", "blend", "blend_by_delay"]
Optimiser = Literal["none", "heavy_ball", "nesterov"]

LAYERS_A_FRAGMENT = 3
"""Streaming DiLoCo's choice at every scale (arXiv 2501.18512, section 3)."""


@dataclass(frozen=True, slots=True)
class Preset:
    """One row of the table of DESIGN.md section 2."""

    optimiser: Optimiser
    alpha: float
    beta: float
    mixes: int
    seeks: int = 1
    group: int = 2
    overlap: bool = True
    landing: Landing = "add"
    keep: float = 0.5
    warming: int = 0
    streams: bool = False
    """Whether the model is cut into fragments."""

    def fragments(self, layers: int) -> int:
        """Return into how many fragments a model of so many layers is cut."""
        return min(layers, max(2, layers // LAYERS_A_FRAGMENT)) if self.streams else 1

    def value(self, key: str, layers: int) -> object:
        """Return what the key of section `[outer]` is where it is left out."""
        return self.fragments(layers) if key == "fragments" else getattr(self, key)


PRESETS: dict[str, Preset] = {
    "noloco": Preset("heavy_ball", alpha=0.5, beta=0.7, mixes=4),
    # Blending costs less than adding: benchmarks/records/convergence-landing.json.
    "gossip": Preset("nesterov", alpha=0.8, beta=0.7, mixes=8, seeks=3, landing="blend_by_delay", warming=4),
    "streaming-gossip": Preset(
        "nesterov", alpha=0.8, beta=0.7, mixes=8, seeks=3, landing="blend_by_delay", warming=4, streams=True
    ),
    "diloco": Preset("nesterov", alpha=0.9, beta=0.7, mixes=1, group=MAX_GROUP, overlap=False),
    "streaming-diloco": Preset(
        "nesterov", alpha=0.9, beta=0.4, mixes=1, group=MAX_GROUP, landing="blend_by_delay", streams=True
    ),
    "solo": Preset("none", alpha=0.0, beta=1.0, mixes=1, group=1),
    "onebyte": Preset("none", alpha=0.0, beta=1.0, mixes=1, group=1),
}
"""Constants of `noloco` from arXiv 2506.10911, of `diloco` from 2311.08105, of `streaming-diloco` from
2501.18512, of both kinds of gossip from benchmarks/records/convergence-rules.json. `solo` mixes with nobody,
`onebyte` in another way: their constants change nothing."""
