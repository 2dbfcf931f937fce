"""What every test shares: its worker, trio, one thread of torch, and hypothesis without a deadline."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

from tests.lanes import PROCESSES, Lanes

# Before anything imports torch, and for every process that a test starts: threads that wait for each other
# spin. On small tensors they gain nothing, and cost up to twenty times where the cores are not free.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# How long one example takes says how busy the machine is; torch's first call takes most of a second anyway.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

MOST_WORKERS = 4
"""More would wait for the tests of real peers, which take turns."""


def pytest_xdist_auto_num_workers(config):
    """A worker a core for whole folders. Single files are done before workers have started."""
    if all(Path(asked.partition("::")[0]).suffix == ".py" for asked in config.args):
        return 0
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, MOST_WORKERS)


def pytest_xdist_make_scheduler(config, log):
    return Lanes(config, log)


def pytest_collection_modifyitems(config, items):
    """Where there are workers, begin with the longest lane."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: not item.nodeid.startswith(PROCESSES))


@pytest.fixture
def anyio_backend():
    return "trio"
