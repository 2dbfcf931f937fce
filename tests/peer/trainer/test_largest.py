from hypothesis import given
from hypothesis import strategies as st

from peer.trainer.largest import largest, reckon

COUNTS = st.integers(1, 500)


@given(COUNTS, st.integers(0, 600))
def test_the_largest_that_fits_is_found(most, limit):
    tried = []

    def fits(count):
        tried.append(count)
        return count <= limit

    assert largest(fits, most) == min(most, limit)
    assert len(tried) == len(set(tried)) <= 20
    assert max(tried) <= max(2 * limit, 1), "never more than twice what fits is asked for"


@given(
    most=COUNTS,
    each=st.integers(1, 10**9),
    now=st.integers(0, 10**11),
    room=st.integers(0, 10**12),
)
def test_where_memory_is_as_measured_the_reckoning_is_right_and_never_takes_too_much(most, each, now, room):
    tried = []

    def height(count):
        tried.append(count)
        return now + each * count

    fit = min(max((room - now) // each, 1), most)
    assert reckon(height, now, most, room) == fit
    assert all(count == 1 or now + each * count <= room for count in tried)
    assert len(tried) <= 10


def test_a_batch_that_fits_by_far_takes_two_small_passes():
    tried = []

    def height(count):
        tried.append(count)
        return 1000 + count

    assert reckon(height, 1000, 4096, 10**6) == 4096
    assert tried == [1, 2]


def test_a_pass_that_took_more_than_it_should_is_not_believed():
    """As where the driver of a Mac refuses: then what fitted before is taken."""
    heights = {1: 10, 2: 20, 4: 1 << 62}
    assert reckon(heights.__getitem__, 0, 64, 100) == 2


def test_what_takes_nothing_to_be_seen_fits():
    assert reckon(lambda _: 5, 5, 100, 1000) == 100
