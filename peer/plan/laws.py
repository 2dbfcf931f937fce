"""Loss, batch and learning rate of a model of N parameters that M peers train: the scaling laws of DiLoCo.

Source, unless another is named: Charles et al., arXiv 2503.09799; C4, sequences of 2,048 tokens, a
vocabulary of 32,768, 20 tokens a parameter, H = 30. Losses are in nats a token of held-out text.
"""

from bisect import bisect_right
from dataclasses import dataclass
from math import exp, log

SEQUENCE = 2048
"""Tokens of one sequence of the laws. Their batch is in such sequences, though the text says tokens: 345
sequences at 2.4 B parameters are the 2^19.4 tokens of figure 4."""

TOKENS_A_PARAMETER = 20.0
MEASURED_H = 30
SIZES = (35e6, 90e6, 180e6, 335e6, 550e6, 1.3e9, 2.4e9)
PEERS = (1, 2, 4, 8)
TABLE = (
    # Table 4: the best evaluation loss; a row for each of SIZES, a column for each of PEERS.
    (3.482, 3.508, 3.554, 3.621),
    (3.162, 3.182, 3.213, 3.265),
    (2.943, 2.957, 2.981, 3.019),
    (2.777, 2.788, 2.808, 2.841),
    (2.645, 2.657, 2.673, 2.698),
    (2.451, 2.464, 2.472, 2.493),
    (2.317, 2.323, 2.332, 2.351),
)
LOSS_OF_SIZE, LOSS_OF_PEERS = -0.0985, 0.0116
"""Exponents of L(N, M), table 10: how the loss goes on beyond the table."""

INSIDE = 0.02
"""Nats of uncertainty inside the table: its fits miss a model that they have not seen by 0.012 (table 11),
and another text has another entropy besides."""

BEYOND = 0.05
"""Nats of uncertainty for each factor e beyond the table. From 2.4 B to 10 B the law is 0.07 too low (table
5), as it knows no floor; from 90 M to 35 M with 8 peers it is 0.04 too low."""

FURTHEST = 10.0
"""No loss is told for models so many times smaller or larger than those of the table."""

DATA, DATA_EXPONENT = 2085.43, 0.3658
"""The data term B / D^beta of Chinchilla's law (2203.15556) as refitted in 2404.10102."""

FEWEST_TOKENS, MOST_TOKENS = 5.0, 1000.0
"""Tokens a parameter for which the data term is believed. Between 20 and 250 it predicts 0.13 and 0.19 nats
where Streaming DiLoCo's table 7 (2501.18512) has 0.15 and 0.21."""

H_COST, H_COST_UNCERTAINTY = 0.02, 0.01
"""Nats for each factor e of H above 30: from H = 30 to 100 Streaming DiLoCo loses 0.01 to 0.04 (tables 5 and
6), from 50 to 1000 DiLoCo 0.029 (2311.08105). Below 30 nothing is won."""


@dataclass(frozen=True, slots=True)
class Term:
    """One part of a predicted loss.

    Attributes:
        name: what it stands for.
        nats: a token.
        uncertainty: half the width of the interval in which it is believed to lie.
        note: why it is uncertain, where it is beyond what was measured; else empty.
    """

    name: str
    nats: float
    uncertainty: float
    note: str = ""


def loss(parameters: float, peers: int) -> Term | None:
    """Return the loss after 20 tokens a parameter with DiLoCo at H = 30, or None too far beyond the table.

    Inside the table it is interpolated, in the logarithms of N, M and L; beyond, it goes on from the edge by
    the law.
    """
    if not SIZES[0] / FURTHEST <= parameters <= SIZES[-1] * FURTHEST:
        return None
    size = min(max(parameters, SIZES[0]), SIZES[-1])
    count = min(peers, PEERS[-1])
    factors = abs(log(parameters / size)) + log(peers / count)
    nats = _inside(size, count) * (parameters / size) ** LOSS_OF_SIZE * (peers / count) ** LOSS_OF_PEERS
    return Term(
        "20 tokens a parameter, DiLoCo, H = 30", nats, INSIDE + BEYOND * factors, _beyond(parameters, peers)
    )


def _inside(size: float, peers: int) -> float:
    row, down = _place(size, SIZES)
    column, across = _place(peers, PEERS)
    corner = [[log(TABLE[row + i][column + j]) for j in (0, 1)] for i in (0, 1)]
    upper, lower = ((1 - across) * line[0] + across * line[1] for line in corner)
    return exp((1 - down) * upper + down * lower)


def _place(value: float, points: tuple[float, ...]) -> tuple[int, float]:
    """Return the interval in which a value lies, and how far through it by the logarithm."""
    index = min(bisect_right(points, value), len(points) - 1) - 1
    return index, log(value / points[index]) / log(points[index + 1] / points[index])


def _beyond(parameters: float, peers: int) -> str:
    notes = []
    if parameters < SIZES[0]:
        notes.append(
            f"the model is {SIZES[0] / parameters:.1f} times smaller than the smallest measured, 35 M"
        )
    if parameters > SIZES[-1]:
        notes.append(
            f"the model is {parameters / SIZES[-1]:.1f} times larger than the largest of the table, 2.4 B"
        )
    if peers > PEERS[-1]:
        notes.append(f"{peers} peers are more than the 8 of the table")
    return "; ".join(notes)


def of_tokens(parameters: float, tokens: float) -> Term | None:
    """Return what training on more or fewer than 20 tokens a parameter changes, or None too far from them."""
    ratio = tokens / parameters
    if not FEWEST_TOKENS <= ratio <= MOST_TOKENS:
        return None
    nats = DATA * (tokens**-DATA_EXPONENT - (TOKENS_A_PARAMETER * parameters) ** -DATA_EXPONENT)
    note = (
        ""
        if abs(log(ratio / TOKENS_A_PARAMETER)) < 0.01
        else "the data term is of another text (Chinchilla's)"
    )
    return Term(f"{ratio:.3g} tokens a parameter", nats, 0.2 * abs(nats), note)


def of_every(every: int) -> Term:
    """Return what H beyond the 30 of the table costs."""
    factors = max(0.0, log(every / MEASURED_H))
    note = f"below {MEASURED_H} nothing is won" if every < MEASURED_H else ""
    return Term(f"H = {every}", H_COST * factors, H_COST_UNCERTAINTY * factors, note)


def batch_tokens(parameters: float, peers: int) -> float:
    """Return the tokens of one inner step of all peers together: the joint law of table 10, times 2,048.

    Its residual at 2.4 B is 19%. More peers than the table's count as its most.
    """
    return float(0.00709 * parameters**0.4695 * min(peers, PEERS[-1]) ** 0.3399 * SEQUENCE)


def learning_rate(parameters: float, peers: int) -> float:
    """Return the peak of AdamW's learning rate: the joint law of table 10, with a residual of 19% at 2.4 B.

    Smaller models and more peers than the table's count as at its edge: the rate would grow without bound.
    """
    return float(22256 * max(parameters, SIZES[0]) ** -0.8827 * min(peers, PEERS[-1]) ** 0.2929)


def diloco_outer_rate(peers: int) -> float:
    """Return DiLoCo's best outer learning rate with momentum 0.9, from 335 M parameters on (figure 7)."""
    return (0.4, 0.6, 0.6, 0.8)[min(bisect_right(PEERS, peers), len(PEERS)) - 1]
