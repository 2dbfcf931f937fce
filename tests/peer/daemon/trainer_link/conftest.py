import pytest
import trio

from tests.peer.daemon.trainer_link.living import Daemon


@pytest.fixture
def clock():
    return trio.testing.MockClock()


@pytest.fixture
def anyio_backend(clock):
    return "trio", {"clock": clock}


@pytest.fixture
def daemon(tmp_path, clock):
    return lambda scenario, folder=tmp_path: Daemon(folder, scenario, clock)
