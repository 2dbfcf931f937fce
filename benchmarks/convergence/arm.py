"""One arm of a comparison, as data."""

from dataclasses import dataclass
from typing import Literal

from benchmarks.convergence.partners import Partners
from peer.outer.rule import PRESETS, Rule

Own = Literal["exact", "quantised"]
Boundaries = Literal["own", "clock"]
Shards = Literal["shakespeare", "mixed", "by source"]


@dataclass(frozen=True)
class Arm:
    """What differs between the arms of one comparison.

    Attributes:
        name: unique in its record.
        rule: the outer rule.
        replicas: M.
        every: H, inner steps between two outer steps.
        partners: who mixes with whom.
        rounds: how often each replica is drawn in an outer step.
        delay: inner steps after which a boundary's mixes land, at most `every`.
        drop: probability that a mix, or a member's part in a group's, fails.
        codec: of the shares on the wire, as `link.make` knows them.
        own: whether the correction starts from one's own exact share, or from what the partner decodes.
        speeds: inner steps of each replica a tick, at most 1; empty where all are equally fast.
        boundaries: after H inner steps of one's `own`, or by a common `clock`, however many each has taken.
        normalise: a pseudo-gradient is scaled to the group's mean number of inner steps, as arXiv 2106.02305
            asks of local adaptive methods.
        shards: what replicas read: Shakespeare; both texts mixed; or half of them each text.
        together: one model that trains on everybody's batches at once: data-parallel.
    """

    name: str
    rule: Rule = PRESETS["solo"]
    replicas: int = 8
    every: int = 25
    partners: Partners = "random"
    rounds: int = 1
    delay: int = 0
    drop: float = 0.0
    codec: str = "fp32"
    own: Own = "quantised"
    speeds: tuple[float, ...] = ()
    boundaries: Boundaries = "own"
    normalise: bool = False
    shards: Shards = "shakespeare"
    together: bool = False
