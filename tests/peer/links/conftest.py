"""Links are tested on the virtual clock, where their figures are exact; one test takes real sockets."""

import pytest
import trio


@pytest.fixture
def anyio_backend():
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}
