"""A machine that slept, by a clock that the test holds."""

from peer.daemon.suspension import NAP, Suspension


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


def test_sleep_is_told_once_and_a_busy_machine_is_not_asleep():
    clock = Clock()
    suspension = Suspension(clock)
    for passed, slept in (
        (5.0, False),
        (5.0 + NAP, False),
        (8 * 3600.0, True),
        (5.0, False),
        (-3600.0, False),
    ):
        clock.now += passed
        assert suspension.over(5.0) is slept
