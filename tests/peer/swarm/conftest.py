"""Swarm code runs on a virtual clock: a test that waits for a minute takes a millisecond."""

import pytest
import trio
import trio.testing

from peer.simulate.schedule import seed_schedule


@pytest.fixture(autouse=True)
def _schedule():
    seed_schedule(0)


@pytest.fixture
def anyio_backend():
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}
