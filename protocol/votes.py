"""Votes of `onebyte`: a slope of the loss as one byte, and the byte as an integer.

A vote says how steeply the loss rises along a random direction z of +-1 (SPSA, arXiv 2306.10015). Its byte is
a sign and seven bits of magnitude, logarithmic: code c stands for clip * 2^((c - 127) / 8), code 0 for no
update. So a byte never moves the weights further than `clip` allows, whoever sent it. The paper's own code
needs nine bits.

Everything that peers must agree on to the bit is made of integers and of +, -, *, / on float64, which every
machine computes alike. Cosines and powers are not: hence integer roots, and a schedule that falls on a
straight line.
"""

import hashlib
import math

from protocol.limits import MAX_VOTERS, MAX_VOTES
from protocol.manifest import Inner

ONE = 1 << 20
"""The integer that stands for a slope of `clip` at the full learning rate."""

CODES_AN_OCTAVE = 8
LARGEST = 127
_NEGATIVE = 0x80

RELATIVE_ERROR = 2 ** (1 / (2 * CODES_AN_OCTAVE)) - 1
"""The most by which a magnitude in range is off, as a share of it: 4.4%."""

SMALLEST = 2 ** ((1 - LARGEST) / CODES_AN_OCTAVE)
"""The smallest magnitude but zero, as a share of `clip`: 2^-15.75."""

RATE_ONE = 1 << 16
"""The integer that stands for the full learning rate."""

LARGEST_SUM = MAX_VOTERS * MAX_VOTES * ONE
"""The most that votes can add up to, whatever strangers send: 2^48, so a 64-bit sum never overflows."""


def to_byte(slope: float, clip: float) -> int:
    """Return the byte for a finite slope; one beyond `clip` counts as `clip`, a tiny one as nothing."""
    share = min(abs(slope) / clip, 1.0)
    if share < SMALLEST * 2 ** (-1 / (2 * CODES_AN_OCTAVE)):
        return 0
    code = max(1, LARGEST + round(CODES_AN_OCTAVE * math.log2(share)))
    return code | _NEGATIVE if slope < 0 else code


def to_slope(byte: int, clip: float) -> float:
    """Return the slope that a byte stands for."""
    return WEIGHTS[byte] / ONE * clip


def _weight(byte: int) -> int:
    code = byte & ~_NEGATIVE
    if code == 0:
        return 0
    # The floor of an eighth root is the floor of three square roots, and exact.
    power = 1 << (CODES_AN_OCTAVE * (ONE.bit_length() - 1) + code - LARGEST)
    magnitude = math.isqrt(math.isqrt(math.isqrt(power)))
    return -magnitude if byte & _NEGATIVE else magnitude


WEIGHTS: tuple[int, ...] = tuple(_weight(byte) for byte in range(256))
"""For each byte, its slope in units of clip / ONE."""


def rate(inner: Inner, step: int) -> int:
    """Return the learning rate of a voter's step, counted from 0, in units of 1 / RATE_ONE of the peak.

    A linear warm-up over `inner.warmup` steps, then a straight line that ends at `inner.steps` at
    `inner.final_ratio`.
    """
    ramp = min(1.0, (step + 1) / max(1, inner.warmup))
    through = min(1.0, max(0, step - inner.warmup) / max(1, inner.steps - inner.warmup))
    return round(RATE_ONE * ramp * (1.0 - (1.0 - inner.final_ratio) * through))


def weighted(byte: int, rate_: int) -> int:
    """Return what a vote adds along its direction: at most `ONE` either way."""
    weight = WEIGHTS[byte]
    magnitude = abs(weight) * rate_ // RATE_ONE
    return -magnitude if weight < 0 else magnitude


def longest_log(inner: Inner, samples: int) -> int:
    """Return how many votes one voter may cast in a run."""
    return min(inner.steps * samples, MAX_VOTES)


def direction_key(seed: int, voter: bytes, position: int) -> int:
    """Return the 64-bit key of the direction of a voter's vote.

    Args:
        seed: the run's.
        voter: raw public key, 32 bytes.
        position: step * samples + sample.
    """
    data = seed.to_bytes(8, "little") + voter + position.to_bytes(8, "little")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8, person=b"direction").digest(), "little")
