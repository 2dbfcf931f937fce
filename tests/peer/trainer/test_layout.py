from torch import nn

from peer.trainer.layout import layout_of
from protocol.layout import Layout


class Net(nn.Module):
    def __init__(self, widths, first=True, last=True):
        super().__init__()
        if first:
            self.embedding = nn.Embedding(5, 2)
        self.layers = nn.ModuleList(nn.Linear(width, width, bias=False) for width in widths)
        if last:
            self.norm = nn.RMSNorm(7)


def test_equal_layers_are_found_between_what_is_before_and_after():
    assert layout_of(Net([3, 3, 3])) == Layout(first=10, layer=9, layers=3, last=7)
    assert layout_of(Net([3, 3], first=False, last=False)) == Layout(layer=9, layers=2)


def test_layers_that_differ_are_one():
    assert layout_of(Net([3, 4])) == Layout(layer=10 + 9 + 16 + 7)


def test_a_model_without_layers_is_one():
    assert layout_of(nn.Linear(2, 3)) == Layout(layer=9)


def test_what_is_frozen_does_not_count():
    net = Net([3, 3])
    net.embedding.requires_grad_(False)
    assert layout_of(net) == Layout(layer=9, layers=2, last=7)
