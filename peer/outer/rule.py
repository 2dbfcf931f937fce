"""An outer rule as data: which optimiser takes the outer step, and what peers average.

Every method is the same two moves, step alone and then mix, so a method is a row of constants.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, TypedDict, Unpack

Optimiser = Literal["heavy_ball", "nesterov", "none"]
Share = Literal["theta", "phi", "momentum"]
Weights = Literal["equal", "tokens"]

EVERYBODY = 64
"""A group of as many as are ready: more than a reduction among equals is worth forming with."""

BY_DEPTH = 0
"""So many fragments that each has about three layers, but two at least: the manifest knows the layers."""


class Coefficients(NamedTuple):
    """An outer step as the linear map it is, of momentum m, slow weights φ and pseudo-gradient Δ.

    m <- decay·m + take·Δ        φ <- φ + direct·Δ + carry·m
    """

    decay: float
    take: float
    direct: float
    carry: float


class Landing(NamedTuple):
    """How much of a difference between two shares is added to the momentum and to the weights."""

    momentum: float
    weights: float


class Constants(TypedDict, total=False):
    """What a run may set in place of a preset's own."""

    alpha: float
    beta: float
    overlap: bool
    mixes: int
    group: int
    fragments: int
    keep: float | None
    by_delay: bool
    warming: int
    weights: Weights


@dataclass(frozen=True, slots=True)
class Rule:
    """The constants of an outer rule.

    Attributes:
        name: the preset that it comes from.
        optimiser: what takes the outer step; `none` leaves the weights as the inner steps made them.
        shares: what a group averages: `theta` as it was at the boundary before the outer step, `phi`
            and `momentum` as they are after it.
        alpha: outer momentum's decay per outer step, in [0, 1).
        beta: outer learning rate, above 0. `protocol.stability` says how large it may be.
        overlap: whether inner steps go on while an exchange is in flight.
        mixes: the most mixes that a share takes part in per outer step.
        group: peers in one mix: 1 is alone, 2 a pair; above 2, those who are ready, up to so many.
        fragments: parts of the weights that each take their outer step at an offset of their own;
            `BY_DEPTH` where the model's depth decides.
        keep: where θ goes in an outer step. None: to φ at the boundary, and corrections are added as they
            land, so that what is learned in flight is kept. A number in [0, 1]: nowhere at the boundary, and
            to keep·θ + (1 - keep)·φ when the exchange has ended (`settle`), as in Streaming
            DiLoCo's algorithm 2 (arXiv 2501.18512).
        by_delay: keep as much of θ as the delay of the landing is of the time between two outer steps, `keep`
            at most: what has been learned in flight counts for as much as it took. A mix that lands at once
            is then the same as one that is added.
        warming: how slowly the momentum grows: after t outer steps it decays by (1 + t) / (1 + warming + t),
            alpha at most. At first the peers' steps all point one way, and full momentum overshoots.
        weights: what a member of a group counts for: as much as another, or by the tokens it trained on.

    Raises:
        ValueError: a constant is outside its range, or something is shared without an optimiser.
    """

    name: str
    optimiser: Optimiser
    shares: tuple[Share, ...]
    alpha: float
    beta: float
    overlap: bool
    mixes: int
    group: int = 2
    fragments: int = 1
    keep: float | None = None
    by_delay: bool = False
    warming: int = 0
    weights: Weights = "equal"

    def __post_init__(self) -> None:
        if not 0 <= self.alpha < 1:
            raise ValueError(f"alpha is {self.alpha}; it must be at least 0 and below 1")
        if not (self.beta > 0 and math.isfinite(self.beta)):
            raise ValueError(f"beta is {self.beta}; it must be above 0 and finite")
        if self.warming < 0:
            raise ValueError(f"warming is {self.warming}; it must be at least 0")
        if self.mixes < bool(self.shares):
            raise ValueError(f"mixes is {self.mixes}; a rule that shares needs at least 1")
        if self.group < 1 + bool(self.shares):
            raise ValueError(f"group is {self.group}; a rule that shares needs at least 2, any rule 1")
        if self.fragments < 0:
            raise ValueError(f"fragments is {self.fragments}; it must be at least 1, or {BY_DEPTH}")
        if self.keep is not None and not 0 <= self.keep <= 1:
            raise ValueError(f"keep is {self.keep}; it must be absent, or from 0 to 1")
        if self.optimiser == "none" and self.shares:
            raise ValueError("a rule without an outer optimiser has nothing to share")

    def after(self, outer_steps: int) -> "Rule":
        """Return the rule of the outer step that follows so many."""
        warm = (1 + outer_steps) / (1 + self.warming + outer_steps)
        return self if warm >= self.alpha else replace(self, alpha=warm)

    def landing_after(self, delay: float) -> "Rule":
        """Return the rule for a mix that lands so many outer steps, or a part of one, after its boundary."""
        if self.keep is None or not self.by_delay:
            return self
        return replace(self, keep=min(self.keep, delay), by_delay=False)

    @property
    def coefficients(self) -> Coefficients:
        """The outer step's coefficients; all 0 where there is no outer optimiser."""
        if self.optimiser == "heavy_ball":
            return Coefficients(self.alpha, take=self.beta, direct=0.0, carry=1.0)
        if self.optimiser == "nesterov":
            return Coefficients(self.alpha, take=1.0, direct=self.beta, carry=self.alpha * self.beta)
        return Coefficients(0.0, 0.0, 0.0, 0.0)

    def landing(self, share: Share) -> Landing:
        """Where a difference in `share` goes.

        A difference in φ or m goes there as it is. A difference in θ is one in the pseudo-gradient,
        and the step is linear, so it lands as the step would have taken it: this makes step-then-mix
        equal to a step on the group's mean.
        """
        if share == "phi":
            return Landing(momentum=0.0, weights=1.0)
        if share == "momentum":
            return Landing(momentum=1.0, weights=0.0)
        _, take, direct, carry = self.coefficients
        return Landing(momentum=take, weights=direct + carry * take)


PRESETS: Mapping[str, Rule] = {
    # arXiv 2506.10911, table 1; `overlap=False` is the paper's own, which waits for its partner.
    "noloco": Rule("noloco", "heavy_ball", ("theta",), alpha=0.5, beta=0.7, overlap=True, mixes=4),
    # DiLoCo's outer optimiser (arXiv 2311.08105), its all-reduce replaced by a few random pairs.
    "gossip": Rule(
        "gossip",
        "nesterov",
        ("theta",),
        alpha=0.8,
        beta=0.7,
        overlap=True,
        mixes=8,
        keep=0.5,
        by_delay=True,
        warming=4,
    ),
    "streaming-gossip": Rule(
        "streaming-gossip",
        "nesterov",
        ("theta",),
        alpha=0.8,
        beta=0.7,
        overlap=True,
        mixes=8,
        fragments=BY_DEPTH,
        keep=0.5,
        by_delay=True,
        warming=4,
    ),
    # arXiv 2311.08105, with whoever is ready in place of everybody.
    "diloco": Rule(
        "diloco", "nesterov", ("theta",), alpha=0.9, beta=0.7, overlap=False, mixes=1, group=EVERYBODY
    ),
    # arXiv 2501.18512.
    "streaming-diloco": Rule(
        "streaming-diloco",
        "nesterov",
        ("theta",),
        alpha=0.9,
        beta=0.4,
        overlap=True,
        mixes=1,
        group=EVERYBODY,
        fragments=BY_DEPTH,
        keep=0.5,
        by_delay=True,
    ),
    "solo": Rule("solo", "none", (), alpha=0.0, beta=1.0, overlap=False, mixes=0, group=1),
}


def derive(preset: str, **constants: Unpack[Constants]) -> Rule:
    """Take the preset's rule with the constants that are given in place of its own.

    Raises:
        ValueError: there is no such preset, or a constant is outside its range.
    """
    if preset not in PRESETS:
        raise ValueError(f"no preset is called {preset!r}; there are {', '.join(PRESETS)}")
    return replace(PRESETS[preset], **constants)
