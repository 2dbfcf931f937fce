"""How many lanes a distance and a size ask for."""

import math

from peer.swarm.objects import CHUNK
from protocol.bulk_calls import MOST_LANES

FEWEST = 2

GOAL = 125e6
"""Bytes a second that the lanes to one peer should be able to carry: 1 Gbit/s."""

WINDOW = 2.5e6
"""Bytes that one TCP connection keeps in flight: what Linux' buffer of 4 MiB holds beside its overhead."""


def lanes_for(round_trip: float, size: int) -> int:
    """Return how many lanes an object of `size` bytes wants over a round trip of so many seconds."""
    by_distance = math.ceil(min(round_trip, 1.0) * GOAL / WINDOW)
    by_size = size // (4 * CHUNK)
    return max(FEWEST, min(by_distance, by_size, MOST_LANES))
