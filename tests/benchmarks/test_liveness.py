"""The oracle of the churn run can fail."""

from dataclasses import replace

import pytest

from benchmarks.liveness import ENOUGH, GROWTH, MORE_FILES, Life, Sample

FIRST = Sample(seconds=10.0, inner_step=1, exchanges=0, deadline=10.0, memory=10**8, files=30)


def _life(samples):
    life = Life("one", began=0.0, patience=60.0)
    for sample in samples:
        life.see(sample)
    return life


def _going_on(count=4 * ENOUGH, **changes):
    samples = [replace(FIRST, seconds=10.0 + n, inner_step=1 + n, exchanges=n // 5) for n in range(count)]
    return [replace(sample, **{k: f(n) for k, f in changes.items()}) for n, sample in enumerate(samples)]


def test_a_peer_that_goes_on_and_stays_as_it_is_has_no_complaint():
    life = _life(_going_on(memory=lambda n: 10**8 + 10**6 * (n % 3), files=lambda n: 30 + n % 5))
    life.check_flat()
    assert not life.complaints
    assert life.longest_without_step == pytest.approx(0.0)
    assert life.longest_without_exchange == pytest.approx(0.4)


def test_one_that_stops_training_is_found():
    samples = [
        *_going_on(20),
        *(replace(FIRST, seconds=29.0 + n, inner_step=20, exchanges=9) for n in (30, 31)),
    ]
    assert _life(samples[:-1]).complaints == []
    assert _life(samples).complaints == ["no inner step in 3 deadlines"]


def test_one_that_stops_exchanging_is_found():
    life = _life(_going_on(112, exchanges=lambda n: 1))
    assert life.complaints == ["no exchange in 10 deadlines"]


def test_one_that_never_begins_is_found():
    life = _life([])
    life.look(60.0)
    assert not life.complaints
    life.look(61.0)
    assert life.complaints == ["no inner step in 60 s"]
    idle = _life([replace(FIRST, inner_step=0), replace(FIRST, inner_step=0, seconds=61.0)])
    assert idle.complaints == ["no inner step in 60 s"]


def test_one_that_falls_silent_is_found():
    life = _life(_going_on(20))
    life.look(29.0 + 30)
    assert not life.complaints
    life.look(29.0 + 31)
    assert life.complaints == ["no inner step in 3 deadlines"]


def test_who_comes_back_has_its_time_before_its_first_step():
    away = [replace(FIRST, inner_step=0, seconds=float(second)) for second in range(50)]
    life = _life([*away, replace(FIRST, seconds=55.0), replace(FIRST, seconds=60.0, inner_step=2)])
    assert not life.complaints
    assert life.longest_without_exchange == pytest.approx(0.5)


def test_one_that_ends_by_itself_is_found():
    life = _life(_going_on(3))
    life.ended(42)
    assert life.complaints == ["ended by itself with code 42"]


@pytest.mark.parametrize("what", ["memory", "files"])
def test_what_grows_is_found(what):
    most = {
        "memory": lambda n: int(10**8 * (GROWTH + 0.01) ** (n / 32)),
        "files": lambda n: 30 + n * MORE_FILES // 24,
    }
    life = _life(_going_on(**{what: most[what]}))
    life.check_flat()
    assert len(life.complaints) == 1
    assert "grew" in life.complaints[0]
