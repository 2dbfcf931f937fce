import hashlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import votes
from protocol.manifest import Inner

slopes = st.floats(allow_nan=False, allow_infinity=False, width=32)
clips = st.floats(min_value=1e-3, max_value=1e6)


@given(slopes, clips)
def test_a_byte_is_off_by_no_more_than_it_states(slope, clip):
    byte = votes.to_byte(slope, clip)
    assert 0 <= byte <= 255
    back, wanted = votes.to_slope(byte, clip), max(-clip, min(clip, slope))
    if abs(wanted) < clip * votes.SMALLEST * 0.95:
        assert back == 0
    elif back:
        # The integers of the smallest magnitudes are rounded as well.
        assert back == pytest.approx(wanted, rel=votes.RELATIVE_ERROR + 1 / votes.WEIGHTS[1])
        assert (back > 0) == (wanted > 0)
    assert abs(back) <= clip


@given(slopes.filter(bool), clips)
def test_the_sign_is_one_bit(slope, clip):
    assert votes.WEIGHTS[votes.to_byte(slope, clip)] == -votes.WEIGHTS[votes.to_byte(-slope, clip)]


def test_the_table_is_the_same_for_ever():
    """Peers of different versions and machines must add up the same integers."""
    assert (votes.WEIGHTS[0], votes.WEIGHTS[0x80]) == (0, 0)
    assert (votes.WEIGHTS[127], votes.WEIGHTS[255]) == (votes.ONE, -votes.ONE)
    assert votes.WEIGHTS[119] == votes.ONE // 2
    for code in range(1, 128):
        assert votes.WEIGHTS[code] == pytest.approx(votes.ONE * 2 ** ((code - 127) / 8), abs=1)
    packed = struct.pack("<256q", *votes.WEIGHTS)
    assert hashlib.sha256(packed).hexdigest()[:16] == "9dd0db17ce95f7ba"


@given(st.integers(0, 255), st.integers(0, votes.RATE_ONE))
def test_no_vote_weighs_more_than_one(byte, rate):
    weight = votes.weighted(byte, rate)
    assert abs(weight) <= votes.ONE
    assert weight == -votes.weighted(byte ^ 0x80, rate)


def test_no_sum_of_votes_leaves_64_bits():
    assert votes.LARGEST_SUM < 1 << 62


def test_the_rate_rises_and_falls_on_straight_lines():
    inner = Inner(warmup=4, steps=14, final_ratio=0.5)
    rates = [votes.rate(inner, step) / votes.RATE_ONE for step in range(15)]
    assert rates[:4] == [0.25, 0.5, 0.75, 1.0]
    assert rates[4:] == pytest.approx([1 - 0.05 * step for step in range(11)], abs=1e-4)
    assert votes.rate(inner, 1000) == votes.RATE_ONE // 2


def test_directions_have_keys_of_their_own():
    known = {
        votes.direction_key(seed, bytes([voter] * 32), position)
        for seed in range(3)
        for voter in range(3)
        for position in range(100)
    }
    assert len(known) == 900
    assert votes.direction_key(7, bytes(range(32)), 5) == 0x926718FA61D438FE
