import pytest
import trio

from peer.swarm.pace import Pace

pytestmark = pytest.mark.anyio


async def test_the_rate_is_that_of_the_last_seconds_and_sinks_when_nothing_comes():
    pace = Pace()
    assert pace.rate == 0.0
    pace.note(0)
    for second in range(1, 21):
        await trio.sleep(1)
        pace.note(100 * second)
        assert pace.rate == pytest.approx(100)
    for second in range(1, 21):
        await trio.sleep(1)
        pace.note(2000 + 10 * second)
    assert pace.rate == pytest.approx(10)
    await trio.sleep(90)
    assert pace.rate < 2


async def test_what_is_fetched_anew_is_no_negative_rate():
    pace = Pace()
    pace.note(100)
    await trio.sleep(1)
    pace.note(0)
    assert pace.rate == 0.0
