import pytest
import torch

from peer.trainer.flat import flatten, pieces
from peer.trainer.model import build
from tests.peer.trainer.tiny import MODEL


def test_values_stay_and_both_sides_see_changes():
    net = build(MODEL, 256, seed=0)
    before = {name: parameter.detach().clone() for name, parameter in net.named_parameters()}
    flat = flatten(net)
    assert flat.dtype == torch.float32
    assert flat.numel() == sum(parameter.numel() for parameter in net.parameters())
    for name, parameter in net.named_parameters():
        assert torch.equal(parameter, before[name])
    flat.add_(1)
    torch.testing.assert_close(net.norm.weight.detach(), before["norm.weight"] + 1)
    with torch.no_grad():
        net.norm.weight.zero_()
    assert not flat[-MODEL.width :].any()


def test_gradients_still_flow():
    net = build(MODEL, 256, seed=0)
    flatten(net)
    net(torch.zeros(1, 9, dtype=torch.int64)).backward()
    assert all(parameter.grad is not None for parameter in net.parameters())


@pytest.mark.parametrize("extra", [-1, 1])
def test_pieces_must_fit(extra):
    net = build(MODEL, 256, seed=0)
    count = sum(parameter.numel() for parameter in net.parameters())
    with pytest.raises((ValueError, RuntimeError)):
        pieces(net, torch.zeros(count + extra))
