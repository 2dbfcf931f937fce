"""How large the outer learning rate may be, from its momentum: outside, a swarm diverges by itself.

Two things can grow. The distance between peers: where only fast weights are mixed, each peer keeps its own
momentum, and random pairs may push the peers apart faster than they pull them together. And the mean of the
peers, as with any momentum on a loss, once the inner steps go far enough.

The distance is judged by its mean square, exactly, for many peers, random pairs, and mixes that land at once.
Let x be a peer's distance from the mean and m its momentum, when inner steps have ceased to move it. An outer
step with heavy ball is

    m' = alpha·m + beta·e        x' = x + m'        e = (mean of x over the group) - x

Everybody else in the group is independent of the peer, with the same second moments, so for a group of n and
u = (n - 1) / n: E[e²] = u·E[x²], E[e·x] = -u·E[x²], E[e·m] = -u·E[x·m]. That closes a linear map of (E[x²],
E[x·m], E[m²]). It turns covariance matrices into covariance matrices, so its largest eigenvalue is real and
positive, and stability ends where that is 1: at the first beta > 0 with det(1 - map) = 0.

k mixes of one outer step make a group of 2^k (`peer.outer.mix.refresh`). Inner steps that pull every peer
towards the same minimum only widen the range. Equation 74 of the NoLoCo paper (arXiv 2506.10911) gives
another, as its covariance of x and m (equation 55) lacks the term linear in gamma; simulation agrees with
this one.
"""

from math import sqrt
from typing import Literal


def allowed_beta(
    optimiser: Literal["heavy_ball", "nesterov"],
    mixed_momentum: bool,  # noqa: FBT001 - a column of the table of presets
    alpha: float,
    mixes: int,
) -> tuple[float, float]:
    """Return the open interval of the outer learning rate in which a swarm of random pairs is stable.

    Args:
        optimiser: what takes the outer step.
        mixed_momentum: whether peers average their slow weights and momentum, rather than fast weights.
        alpha: outer momentum, at least 0 and below 1.
        mixes: mixes of one outer step, at least 1.

    Raises:
        ValueError: `alpha` or `mixes` is outside its range.
    """
    if not 0 <= alpha < 1:
        raise ValueError(f"alpha is {alpha}; it must be at least 0 and below 1")
    if mixes < 1:
        raise ValueError(f"mixes is {mixes}; it must be at least 1")
    if mixed_momentum:
        return 0.0, _largest_for_the_mean(optimiser, alpha)
    return 0.0, _largest_for_the_distance(optimiser, alpha, others=1 - 2.0**-mixes)


def why_unstable(*, mixed_momentum: bool) -> str:
    """Say in a clause what happens at a beta above the interval."""
    if mixed_momentum:
        return "the outer optimiser overshoots, further with each outer step"
    return "the distance between peers grows without bound, as each keeps its own momentum"


def noloco_gamma_bound(alpha: float, mixes: int = 1) -> float:
    """Return the smallest gamma, which is beta here, at which NoLoCo's random pairs are no longer stable."""
    return allowed_beta("heavy_ball", mixed_momentum=False, alpha=alpha, mixes=mixes)[1]


def _largest_for_the_distance(optimiser: str, alpha: float, others: float) -> float:
    """Solve det(1 - map) = 0; `others` is u, the share of a group that is not oneself."""
    if optimiser == "heavy_ball":
        return 2 * (1 - alpha**2) / (1 + alpha - 2 * alpha * others)
    # Nesterov: m' = alpha·m + e, x' = x + beta·(e + alpha·m'), which leaves a·beta² + b·beta = c.
    a = alpha * others * (1 + 2 * alpha)
    b = 1 + alpha - 2 * a
    c = 2 * (1 - alpha**2)
    return 2 * c / (b + sqrt(b**2 + 4 * a * c))


def _largest_for_the_mean(optimiser: str, alpha: float) -> float:
    """Bound beta for inner steps that reach the minimum, the pseudo-gradient then being -x.

    Averages of both weights and momentum shrink every distance, so only the mean can grow. Its characteristic
    polynomial is z² - (1 + alpha - beta)·z + alpha with heavy ball and z² - (1 + alpha)(1 - beta)·z
    + alpha·(1 - beta) with Nesterov; a root leaves the unit circle at z = -1.
    """
    if optimiser == "heavy_ball":
        return 2 * (1 + alpha)
    return 2 * (1 + alpha) / (1 + 2 * alpha)
