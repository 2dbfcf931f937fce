"""Who mixes with whom: groups of one outer step, in the order in which they mix."""

from collections.abc import Sequence
from random import Random
from typing import Literal

Partners = Literal["random", "rotating", "view", "four", "everybody"]
Group = tuple[int, ...]


def groups(
    model: Partners, ready: Sequence[int], everybody: int, number: int, rounds: int, random: Random
) -> list[Group]:
    """Return the groups that form when `ready` replicas of `everybody` are at their boundary together.

    Args:
        model: `random` perfect matchings; `rotating` ones, at distances 1, 2, 4 … of a fresh order each time
            round (GossipGraD, arXiv 1803.05880); by `view`, where each draws anybody, ready or not, and so
            takes part in two mixes on average; random groups of `four`; or `everybody` in one.
        ready: replicas at their boundary.
        everybody: how many replicas there are.
        number: of this outer step.
        rounds: how often each mixes in one outer step; each time with what the last mix made of its share.
        random: decides.
    """
    if model == "everybody":
        return [tuple(ready)] * rounds
    if model == "view":
        return _by_view(ready, everybody, rounds, random)
    found: list[Group] = []
    for turn in range(rounds):
        if model == "rotating":
            found += _rotating(ready, number * rounds + turn)
        else:
            found += _cut(random.sample(list(ready), len(ready)), 4 if model == "four" else 2)
    return found


def _cut(order: Sequence[int], size: int) -> list[Group]:
    parts = [tuple(order[start : start + size]) for start in range(0, len(order), size)]
    return [part for part in parts if len(part) > 1]


def _rotating(ready: Sequence[int], turn: int) -> list[Group]:
    levels = max(1, (len(ready) - 1).bit_length())
    around, level = divmod(turn, levels)
    order = Random(around).sample(list(ready), len(ready))
    return [
        (order[i], order[i ^ (1 << level)]) for i in range(len(order)) if i < i ^ (1 << level) < len(order)
    ]


def _by_view(ready: Sequence[int], everybody: int, rounds: int, random: Random) -> list[Group]:
    found: list[Group] = []
    for _ in range(rounds):
        for one in random.sample(list(ready), len(ready)):
            other = random.choice([i for i in range(everybody) if i != one])
            found.append((one, other))
    return found
