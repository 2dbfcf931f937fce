"""The constants that a preset of the outer rule stands for where `run.toml` does not give its own."""

from dataclasses import dataclass
from typing import Literal

Optimiser = Literal["none", "heavy_ball", "nesterov"]


@dataclass(frozen=True, slots=True)
class Preset:
    """One row of the table of DESIGN.md section 2."""

    optimiser: Optimiser
    mixes_momentum: bool
    """Whether partners average their outer momentum as well as their weights."""
    alpha: float
    beta: float
    mixes: int


PRESETS: dict[str, Preset] = {
    "noloco": Preset("heavy_ball", mixes_momentum=False, alpha=0.5, beta=0.7, mixes=4),
    "gossip": Preset("nesterov", mixes_momentum=True, alpha=0.9, beta=0.7, mixes=4),
    "solo": Preset("none", mixes_momentum=False, alpha=0.0, beta=1.0, mixes=1),
}
"""Constants of `noloco` from arXiv 2506.10911, of `gossip` from DESIGN.md section 2.
`solo` mixes with nobody: its own change nothing."""
