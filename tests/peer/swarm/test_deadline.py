import pytest

from peer.swarm.deadline import AdaptiveDeadline


def _deadline():
    return AdaptiveDeadline(first=30.0, floor=5.0, ceiling=600.0)


def test_before_anything_was_seen_the_first_guess_holds():
    assert _deadline().seconds == 30.0


def test_it_follows_a_link_that_becomes_slower_and_faster():
    deadline = _deadline()
    for _ in range(32):
        deadline.observe(10.0)
    assert deadline.seconds == pytest.approx(15.0)
    for _ in range(32):
        deadline.observe(100.0)
    assert deadline.seconds == pytest.approx(150.0)
    for _ in range(32):
        deadline.observe(0.01)
    assert deadline.seconds == 5.0


def test_one_outlier_does_not_move_it_and_a_spread_widens_it():
    steady, spread = _deadline(), _deadline()
    for i in range(20):
        steady.observe(10.0)
        spread.observe(8.0 if i % 2 else 12.0)
    steady.observe(500.0)
    assert steady.seconds == pytest.approx(15.0)
    assert spread.seconds > steady.seconds


def test_cutting_off_makes_the_next_one_longer_up_to_the_ceiling():
    deadline = _deadline()
    seen = []
    for _ in range(40):
        deadline.overran()
        seen.append(deadline.seconds)
    assert seen == sorted(seen)
    assert seen[-1] == 600.0
