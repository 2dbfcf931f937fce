"""Real sockets need the real clock."""

import pytest


@pytest.fixture
def anyio_backend():
    return "trio"
