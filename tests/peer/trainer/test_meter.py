import pytest
import torch

from peer.trainer.meter import PERIOD, Meter


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_means_since_the_last_reading():
    clock = Clock()
    meter = Meter(torch.device("cpu"), clock)
    for loss in (1.0, 2.0, 6.0):
        meter.count(torch.tensor(loss))
        clock.now += 2
    first = meter.read()
    meter.count(torch.tensor(10.0))
    clock.now += 1
    second = meter.read()
    assert first is not None
    assert second is not None
    assert (first.loss, first.seconds_per_step) == (pytest.approx(3), 2)
    assert (second.loss, second.seconds_per_step) == (10, 1)
    assert meter.read() is None


def test_due_after_the_period_and_a_step():
    clock = Clock()
    meter = Meter(torch.device("cpu"), clock)
    clock.now += 10
    assert not meter.due
    meter.count(torch.tensor(1.0))
    assert meter.due
    meter.read()
    meter.count(torch.tensor(1.0))
    clock.now += PERIOD / 2
    assert not meter.due
