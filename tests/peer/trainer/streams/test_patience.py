import threading

import pytest

from peer.trainer.streams import patience as module
from peer.trainer.streams.patience import GivenUpError, Patience, UnreachableError, at_once


@pytest.fixture
def told(monkeypatch):
    monkeypatch.setattr(module, "FIRST", 0.001)
    return []


def test_it_tries_until_it_is_done_and_says_why_it_waits(told):
    answers = iter([OSError("no route\nto host"), UnreachableError("the Hub sleeps", "Wait"), 7])

    def job():
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    patience = Patience(told.append)
    assert patience(job) == 7
    assert told == ["no route; tried 1 time", "the Hub sleeps; tried 2 times", None]
    assert Patience(told.append)(lambda: 8) == 8
    assert len(told) == 3  # nothing to say where nothing failed


def test_other_failures_are_the_callers(told):
    with pytest.raises(ValueError, match="torn"):
        Patience(told.append)(lambda: _fail(ValueError("torn")))
    assert told == []


def test_it_gives_up_when_it_is_told_to_even_while_it_waits(told, monkeypatch):
    monkeypatch.setattr(module, "FIRST", 1000.0)
    patience = Patience(lambda _: threading.Timer(0.01, patience.end).start())
    with pytest.raises(GivenUpError):
        patience(lambda: _fail(OSError("x")))
    with pytest.raises(GivenUpError):
        patience(lambda: 1)


def test_who_has_nobody_to_tell_does_not_wait():
    assert at_once(lambda: 7) == 7
    with pytest.raises(UnreachableError, match="data cannot be read: no route"):
        at_once(lambda: _fail(OSError("no route")))
    with pytest.raises(ValueError, match="torn"):
        at_once(lambda: _fail(ValueError("torn")))


def test_a_reason_is_short():
    said = []
    patience = Patience(lambda reason: (said.append(reason), patience.end()))
    with pytest.raises(GivenUpError):
        patience(lambda: _fail(OSError("x" * 1000)))
    assert len(said[0]) < 230


def _fail(error):
    raise error
