"""Writes golden/RULE.json from the float64 reference: `python -m tests.peer.outer.make_golden`."""

import json
from collections.abc import Sequence
from pathlib import Path

from tests.peer.outer.reference import (
    DELAY,
    EVERYBODY,
    INNER_STEPS,
    PAIRINGS,
    PARTS,
    SECOND_PAIRINGS,
    Clock,
    Groups,
    Round,
    diloco_in_groups,
    gossip,
    noloco,
    solo,
    streaming_diloco,
    streaming_phi_and_momentum,
)

FOLDER = Path(__file__).with_name("golden")
LATE = DELAY / INNER_STEPS
TWICE = [list(both) for both in zip(PAIRINGS, SECOND_PAIRINGS, strict=True)]


def as_groups(mixings: Sequence[Sequence[Sequence[Sequence[int]]]]) -> list[list[list[list[int]]]]:
    """Return groups of a mix of an outer step, as lists."""
    return [[[list(group) for group in mix] for mix in mixes] for mixes in mixings]


def golden() -> dict[str, dict[str, object]]:
    """Return every rule's constants, who mixes when, and each value after each outer step."""
    alone: list[Groups] = [[]] * len(PAIRINGS)
    once = [[pairs] for pairs in PAIRINGS]
    whole: list[tuple[int, list[int]]] = [(0, list(range(7)))]
    pairs: list[Groups] = [[list(pair) for pair in pairs] for pairs in PAIRINGS]
    everybody = [[groups] for groups in EVERYBODY]
    return {
        "noloco": case(0.5, 0.7, once, whole, 0, noloco(0.5, 0.7, 0.7, PAIRINGS)),
        "gossip": case(0.8, 0.7, TWICE, whole, 0, gossip(0.8, 0.7, TWICE, 4), keep=0.0, warming=4),
        # By linearity, two peers' own steps and what their mix adds are a step on their mean.
        "streaming-gossip": case(
            0.8, 0.7, once, PARTS, DELAY, streaming_diloco(0.8, 0.7, LATE, pairs, 4), keep=LATE, warming=4
        ),
        "diloco": case(0.9, 0.7, everybody, whole, 0, diloco_in_groups(0.9, 0.7, EVERYBODY)),
        "streaming-diloco": case(
            0.9, 0.4, everybody, PARTS, DELAY, streaming_diloco(0.9, 0.4, LATE, EVERYBODY), keep=LATE
        ),
        "streaming-diloco-published": case(
            0.9, 0.4, everybody, PARTS, DELAY, streaming_diloco(0.9, 0.4, 0.5, EVERYBODY), keep=0.5
        ),
        "two-tensors": case(0.9, 0.7, once, PARTS, DELAY, streaming_phi_and_momentum(0.9, 0.7, PAIRINGS)),
        "solo": case(0.0, 1.0, [[pairs] for pairs in alone], whole, 0, solo(len(PAIRINGS))),
    }


def case(
    alpha: float,
    beta: float,
    mixings: Sequence[Sequence[Sequence[Sequence[int]]]],
    parts: list[tuple[int, list[int]]],
    delay: int,
    values: Sequence[Round | Clock],
    keep: float | None = None,
    warming: int = 0,
) -> dict[str, object]:
    """Return one fixture; after a `Round`, θ is φ. What is kept is what the delay makes of it."""
    return {
        "alpha": alpha,
        "beta": beta,
        "keep": keep,
        "warming": warming,
        "inner_steps": INNER_STEPS,
        "delay": delay,
        "parts": parts,
        "mixings": as_groups(mixings),
        "after": [
            {
                "theta": (value.theta if isinstance(value, Clock) else value.phi).tolist(),
                "phi": value.phi.tolist(),
                "momentum": value.momentum.tolist(),
            }
            for value in values
        ],
    }


def text(fixture: dict[str, object]) -> str:
    """Return a fixture as it stands in its file."""
    return json.dumps(fixture, indent=1) + "\n"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, fixture in golden().items():
        (FOLDER / f"{name}.json").write_text(text(fixture), encoding="utf-8")
