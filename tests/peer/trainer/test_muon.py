import pytest
import torch
from torch import nn

from peer.trainer.muon import Muon, orthogonalise

SHAPES = [(24, 24), (16, 40), (40, 16)]


def drawn(shape: tuple[int, int], seed: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", SHAPES)
def test_singular_values_come_near_one_and_the_directions_stay(shape):
    matrix = drawn(shape, 0)
    result = orthogonalise(matrix)
    values = torch.linalg.svdvals(result)
    assert values.min() > 0.3
    assert values.max() < 1.3
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    nearest = left @ right
    assert float((result * nearest).sum() / result.norm() / nearest.norm()) > 0.97


def test_a_gradient_of_nothing_moves_nothing():
    assert torch.equal(orthogonalise(torch.zeros(4, 6)), torch.zeros(4, 6))


@pytest.mark.parametrize("shape", SHAPES)
def test_it_steps_as_torchs_own_does(shape):
    ours, theirs = nn.Parameter(drawn(shape, 1)), nn.Parameter(drawn(shape, 1))
    mean = torch.zeros(shape)
    one = Muon([ours], {ours: mean}, 0.9, 0.1)
    reference = torch.optim.Muon(
        [theirs], 0.02, weight_decay=0.1, momentum=0.9, adjust_lr_fn="match_rms_adamw"
    )
    start = ours.detach().clone()
    for step in range(4):
        for parameter in (ours, theirs):
            parameter.grad = drawn(shape, 10 + step)
        one.step(0.02)
        reference.step()
    apart = (ours - theirs).norm() / (theirs - start).norm()
    assert apart < 0.02  # it computes in bfloat16
    torch.testing.assert_close(mean, reference.state[theirs]["momentum_buffer"])
