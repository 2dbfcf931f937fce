"""Torch on one thread: tests run beside others."""

import pytest
import torch
from hypothesis import settings

settings.register_profile("tensors", deadline=None)  # torch's first call takes most of a second
settings.load_profile("tensors")


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    torch.set_num_threads(1)
