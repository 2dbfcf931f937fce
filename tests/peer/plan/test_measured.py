from peer.plan.measured import measure
from peer.telemetry.events import (
    Checkpointed,
    ExchangeDone,
    PeerSeen,
    ShareReady,
    Skipped,
    Stopped,
    TrainerDied,
    TrainerStarted,
)


def _started(time, step=0):
    return TrainerStarted(time=time, device="cpu", parameters=10, inner_step=step, resumed=step > 0)


def _share(time, step):
    return ShareReady(time=time, outer_step=step // 20, inner_step=step, codec="int8", size=0)


def _done(seconds):
    return ExchangeDone(
        partner="b",
        seconds=seconds,
        bytes_in=100,
        bytes_out=50,
        distance=0,
        relative_distance=0,
        outer_step=1,
        initiated=True,
    )


def test_steps_are_timed_between_reports_and_exchanges_counted():
    log = [
        _started(0),
        PeerSeen(peer="b"),
        PeerSeen(peer="c"),
        PeerSeen(peer="b"),
        _share(50, 20),
        _done(3.0),
    ]
    log += [
        _done(1.0),
        _done(2.0),
        _share(60, 40),
        Skipped(outer_step=2, reason="late"),
        Stopped(reason="", inner_step=41),
    ]
    found = measure(log)
    assert (found.inner_steps, found.seconds, found.inner_step_seconds) == (20, 10.0, 0.5)
    assert (found.exchanges, found.median_exchange_seconds) == (3, 2.0)
    assert (found.bytes_in, found.bytes_out, found.skips, found.peers, found.device) == (
        300,
        150,
        1,
        3,
        "cpu",
    )
    assert found.last_step == 41


def test_the_time_of_a_dead_trainer_does_not_count():
    log = [
        _started(0),
        _share(10, 20),
        _share(20, 40),
        TrainerDied(time=21, code=-9, restarts=1),
        _started(100, 20),
    ]
    log += [_share(110, 40), _share(120, 60)]
    found = measure(log)
    assert (found.inner_steps, found.seconds) == (40, 20.0)


def test_a_run_without_outer_steps_is_timed_by_its_ends():
    log = [_started(5), Stopped(time=15, reason="done", inner_step=50)]
    found = measure(log)
    assert (found.inner_steps, found.seconds, found.median_exchange_seconds) == (50, 10.0, None)


def test_nothing_is_told_of_a_home_where_nothing_was_trained():
    assert measure([]) is None
    assert measure([_started(0), Checkpointed(time=1, inner_step=0, path="x", seconds=0.1)]) is None
