from contextlib import asynccontextmanager

import pytest
import trio

from peer.daemon.home import Home
from tests.peer.daemon.founding.place import Place


@pytest.fixture
def anyio_backend():
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


@pytest.fixture
def home(tmp_path):
    with Home.open(tmp_path / "home") as home:
        yield home


@pytest.fixture
def place(home):
    @asynccontextmanager
    async def place():
        async with trio.open_nursery() as nursery:
            yield Place(nursery, home)
            nursery.cancel_scope.cancel()

    return place


@pytest.fixture
def run_file(tmp_path):
    def run_file(text):
        path = tmp_path / "run.toml"
        path.write_text(text)
        return path

    return run_file
