"""What torch.optim would do, without what it loads; test_inner.py compares their steps with torch's own."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from peer.trainer.optimisers import AdamW, Sgd
from tests.peer.trainer.tiny import INNER

TRAINS = """
import sys
from peer.models.replicas import empty
from tests.peer.trainer.tiny import manifest, replica, train

train(replica(manifest("solo")), 2)
empty(manifest("solo"))
print("torch._dynamo" in sys.modules)
"""


def test_neither_training_nor_averaging_loads_a_compiler():
    done = subprocess.run(
        [sys.executable, "-c", TRAINS],
        capture_output=True, text=True, check=True, timeout=60, cwd=Path(__file__).parents[3],
    )  # fmt: skip
    assert done.stdout == "False\n"


@pytest.mark.parametrize("kind", ["adamw", "sgd"])
def test_who_has_no_gradient_stays(kind):
    moved, still = torch.nn.Parameter(torch.ones(2, 2)), torch.nn.Parameter(torch.ones(2, 2))
    both = [moved, still]
    moments = [{each: torch.zeros_like(each) for each in both} for _ in range(2)]
    optimiser = AdamW(both, *moments, INNER) if kind == "adamw" else Sgd(both, INNER)
    moved.grad = torch.ones(2, 2)
    optimiser.step(0.1)
    assert bool((moved < 1).all())
    assert torch.equal(still, torch.ones(2, 2))
