from hypothesis import given
from hypothesis import strategies as st

from peer.telemetry.histogram import Histogram

BOUNDS = (0.1, 1, 10)


@given(st.lists(st.floats(0, 1e6)))
def test_each_bucket_counts_what_is_at_or_below_its_bound(values):
    histogram = Histogram(BOUNDS)
    for value in values:
        histogram.observe(value)
    seen = histogram.statistics()
    expected = [sum(value <= bound for value in values) for bound in BOUNDS]
    assert seen.cumulated() == [
        ("0.1", expected[0]),
        ("1.0", expected[1]),
        ("10.0", expected[2]),
        ("+Inf", len(values)),
    ]
    assert seen.total == sum(values, start=0.0)


def test_a_snapshot_does_not_change_afterwards():
    histogram = Histogram(BOUNDS)
    before = histogram.statistics()
    histogram.observe(5.0)
    assert before.cumulated()[-1] == ("+Inf", 0)
    assert histogram.statistics().counts == (0, 0, 1, 0)
