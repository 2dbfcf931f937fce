"""What comes from the Hub, counted and held up, by a clock that only waiting moves."""

import math

import pytest

from peer.trainer.hf.intake import TOLD_EVERY, Intake, metered


class Clock:
    """Time, and the event that is waited for: nobody sets it, so all waiting lasts."""

    def __init__(self):
        self.now, self.waited = 100.0, []
        self.over = False

    def __call__(self):
        return self.now

    def set(self):
        self.over = True

    def wait(self, seconds):
        self.waited.append(seconds)
        if not self.over:
            self.now += seconds
        return self.over


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def told():
    return []


@pytest.fixture
def intake(clock, told):
    return Intake(told.append, 1000, clock, clock)


def test_no_more_comes_in_a_second_than_may(intake, clock, told):
    for _ in range(10):
        intake.came(500)
    assert clock.now == pytest.approx(105)
    intake.change(100)
    intake.came(500)
    assert clock.now == pytest.approx(110)
    clock.now += 60
    intake.came(100)
    assert clock.now == pytest.approx(171), "what was not used does not pile up"
    intake.flush()
    assert sum(told) == 5600


def test_without_a_limit_nothing_waits_and_it_is_told_now_and_then(clock, told):
    intake = Intake(told.append, math.inf, clock, clock)
    for _ in range(3):
        intake.came(10)
    assert told == [10]
    clock.now += TOLD_EVERY
    intake.came(10)
    assert told == [10, 30]
    intake.came(10)
    intake.flush()
    intake.flush()
    assert told == [10, 30, 10]
    assert clock.waited == []


def test_nobody_is_held_up_once_it_is_over(intake, clock):
    intake.end()
    with pytest.raises(OSError, match="nobody waits"):
        intake.came(500)
    assert clock.now == 100


@pytest.fixture
def hub():
    found = pytest.importorskip("huggingface_hub", reason="the extra `hf` is not installed")
    from huggingface_hub.utils import _http

    usual = _http.default_client_factory
    yield found
    found.set_client_factory(usual)


def test_all_that_the_hub_answers_passes_it(hub, intake, clock, told, monkeypatch):
    import httpx2
    from huggingface_hub import constants
    from huggingface_hub.utils import _http

    def answer(request):
        if request.url.path == "/moved":
            return httpx2.Response(302, headers={"Location": "/file"}, content=iter([b"x" * 10]))
        return httpx2.Response(200, content=iter([b"y" * 1000] * 4))

    def client():
        return httpx2.Client(transport=httpx2.MockTransport(answer), follow_redirects=True)

    monkeypatch.setattr(_http, "default_client_factory", client)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", False)
    hub.set_client_factory(client)
    hub.get_session().get("http://hub/file")
    assert told == []
    with metered(intake):
        assert len(hub.get_session().get("http://hub/moved").content) == 4000
        assert constants.HF_HUB_DISABLE_XET, "files that come through it would not be counted"
    assert sum(told) == 4010
    assert clock.now == pytest.approx(100 + 4.01)
