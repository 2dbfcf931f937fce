"""What every test shares: async tests run on trio, torch on one thread, hypothesis without a deadline."""

import os

import pytest
from hypothesis import settings

# Before anything imports torch, and for every process that a test starts: threads that wait for each other
# spin. On small tensors they gain nothing, and cost up to twenty times where the cores are not free.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# How long one example takes says how busy the machine is; torch's first call takes most of a second anyway.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


@pytest.fixture
def anyio_backend():
    return "trio"
