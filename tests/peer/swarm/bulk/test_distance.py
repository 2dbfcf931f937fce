import math

import pytest

from peer.swarm.bulk.distance import lanes_for
from protocol.bulk_calls import MOST_LANES

MB = 1_000_000


@pytest.mark.parametrize(
    ("round_trip", "size", "lanes"),
    [
        (0.0, 400 * MB, 2),
        (0.04, 400 * MB, 2),
        (0.05, 400 * MB, 3),
        (0.1, 400 * MB, 5),
        (0.16, 400 * MB, MOST_LANES),
        (3.0, 400 * MB, MOST_LANES),
        (0.1, MB, 2),
        (0.1, 7 * MB, 3),
        (math.inf, 40 * MB, MOST_LANES),
        (math.inf, 1, 2),
    ],
)
def test_lanes_follow_the_distance_and_the_size(round_trip, size, lanes):
    assert lanes_for(round_trip, size) == lanes
