"""What a heartbeat carries of a peer's side of the swarm: enough to notice that there is another.

The smallest hashes of a set say how large it is, and of two sets how much they have in common (bottom-k
sketches; Bar-Yossef et al. 2002, Cohen and Kaplan 2007).
"""

import hashlib
from collections.abc import Iterable
from typing import Annotated

from msgspec import Meta

from protocol.codec import Message

KEPT = 16
"""Hashes of a sketch: an estimate of the size is off by a quarter, and smaller sets are counted exactly."""

HASHES = 1 << 62

Hash = Annotated[int, Meta(ge=0, lt=HASHES)]
MOST_COUNTED = 1 << 32
Count = Annotated[int, Meta(ge=1, le=MOST_COUNTED)]


class Sketch(Message, frozen=True):
    """What a peer knows of the swarm: those that have answered it, and itself."""

    known: Count
    """How many they are."""
    size: Count
    """How many it believes that there are, by what its neighbours have told."""
    hashes: Annotated[tuple[Hash, ...], Meta(min_length=1, max_length=KEPT)]
    """The smallest hashes of those that it knows, rising."""


def hash_of(peer_id: str) -> int:
    """Return the hash of a PeerID."""
    return int.from_bytes(hashlib.sha256(peer_id.encode()).digest()[:8], "big") % HASHES


def smallest(hashes: Iterable[int]) -> tuple[int, ...]:
    """Return the hashes that a sketch of such a set holds."""
    return tuple(sorted(set(hashes))[:KEPT])


def estimate(hashes: Iterable[int]) -> int:
    """Return the size of the set whose KEPT smallest hashes are among these, at most what a sketch holds.

    A liar who names tiny hashes would otherwise have us say what nobody can decode.
    """
    kept = smallest(hashes)
    if len(kept) < KEPT:
        return len(kept)
    return min(max(KEPT, round((KEPT - 1) * HASHES / max(kept[-1], 1))), MOST_COUNTED)
