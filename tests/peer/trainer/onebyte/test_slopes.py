from contextlib import nullcontext

import pytest
import torch

from peer.trainer import data
from peer.trainer.flat import flatten
from peer.trainer.onebyte.directions import add_directions
from peer.trainer.onebyte.slopes import measure
from tests.peer.trainer.onebyte.small import base
from tests.peer.trainer.tiny import MODEL, corpus


def test_slopes_are_the_gradients_products_with_the_directions():
    net = base()
    flat = flatten(net)
    before = flat.clone()
    tokens = data.batch(corpus().training, [0, 1, 2, 3], MODEL.context)
    loss = net(tokens)
    loss.backward()
    gradient = torch.cat([parameter.grad.flatten() for parameter in net.parameters()])
    keys = [1, 2, 1 << 63]
    found = measure(net, flat, tokens, keys, 1e-3, nullcontext())
    for key, slope in zip(keys, found.slopes, strict=True):
        z = torch.zeros(flat.numel(), dtype=torch.int64)
        add_directions(z, [key], [1])
        assert slope == pytest.approx(float(gradient @ z.float()), rel=0.05, abs=0.02)
    assert float(found.loss) == pytest.approx(float(loss.detach()), abs=0.01)
    torch.testing.assert_close(flat, before, rtol=0, atol=1e-6)


def test_a_loss_that_is_not_finite_gives_no_slope():
    net = base()
    flat = flatten(net)
    flat[0] = float("nan")
    tokens = data.batch(corpus().training, [0], MODEL.context)
    found = measure(net, flat, tokens, [1], 1e-3, nullcontext())
    assert found.slopes == [0.0]
    assert not found.loss.isfinite()
