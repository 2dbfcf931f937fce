"""A batch in parts is the batch, but for rounding; whole it is what a plain loop computes."""

from contextlib import nullcontext
from functools import partial

import pytest
import torch
from msgspec.structs import replace

from peer.trainer.inner import precision
from peer.trainer.passes import Passes, mean_loss
from protocol.manifest import Inner
from tests.peer.trainer.tiny import INNER, manifest, replica, train, work

CPU = torch.device("cpu")


def passes(one):
    return Passes(one.net, CPU, nullcontext())


def batch(count=6):
    return work().feed.take(replica().counters.position, count)[0]


def gradient(one):
    return torch.cat([each.grad.flatten() for each in one.net.parameters()])


def test_a_whole_batch_is_bit_for_bit_a_plain_loops():
    one, plain, examples = replica(), replica(), batch()
    loss = passes(one).gradient(examples, most=6)
    wanted = plain.net(examples)
    wanted.backward()
    assert torch.equal(loss, wanted)
    assert torch.equal(gradient(one), gradient(plain))
    assert not loss.requires_grad


@pytest.mark.parametrize("most", [1, 2, 4, 5])
def test_parts_add_up_to_the_whole(most):
    one, whole, examples = replica(), replica(), batch()
    loss = passes(one).gradient(examples, most)
    wanted = passes(whole).gradient(examples)
    torch.testing.assert_close(loss, wanted, rtol=1e-6, atol=0)
    torch.testing.assert_close(gradient(one), gradient(whole), rtol=1e-4, atol=1e-7)


def test_in_bf16_parts_add_up_as_well():
    one, whole, examples = replica(), replica(), batch()
    half = partial(precision, Inner(precision="bf16"), CPU)
    loss = Passes(one.net, CPU, half()).gradient(examples, 2)
    wanted = Passes(whole.net, CPU, half()).gradient(examples)
    torch.testing.assert_close(loss, wanted, rtol=1e-3, atol=0)
    assert torch.cosine_similarity(gradient(one), gradient(whole), dim=0) > 0.999


def test_parts_of_several_weigh_as_much_as_they_hold():
    one, whole, examples = replica(), replica(), batch()
    total = passes(one).gradient(examples[:4], weight=4 / 6) + passes(one).gradient(examples[4:], 1, 2 / 6)
    wanted = passes(whole).gradient(examples)
    torch.testing.assert_close(total, wanted, rtol=1e-6, atol=0)
    torch.testing.assert_close(gradient(one), gradient(whole), rtol=1e-4, atol=1e-7)


def test_twenty_steps_in_parts_learn_what_whole_steps_learn():
    run = replace(manifest("solo"), inner=replace(INNER, batch=6, learning_rate=1e-3))
    whole, parts = replica(run), replica(run)
    parts.gradients = InParts(passes(parts), 2)
    losses = train(whole, 20), train(parts, 20)
    torch.testing.assert_close(torch.tensor(losses[1]), torch.tensor(losses[0]), rtol=1e-4, atol=0)
    torch.testing.assert_close(parts.theta, whole.theta, rtol=0, atol=1e-4)
    assert parts.counters == whole.counters


class InParts:
    """Gradients with so many examples in one pass."""

    def __init__(self, passes, most):
        self._passes, self._most = passes, most

    def of(self, examples, step, own_step):
        return self._passes.gradient(examples, self._most)

    def rest(self):
        """Hold on to nothing."""


def test_what_a_broken_pass_left_is_forgotten():
    one, examples = replica(), batch()
    there = passes(one)
    there.gradient(examples[:3])
    there.forget()
    there.gradient(examples)
    wanted = replica()
    passes(wanted).gradient(examples)
    assert torch.equal(gradient(one), gradient(wanted))


@pytest.mark.parametrize("most", [None, 6, 4, 1])
def test_without_gradients_the_loss_is_the_same(most):
    one, examples = replica(), batch()
    with torch.no_grad():
        loss = mean_loss(one.net, examples, most)
        wanted = one.net(examples)
    torch.testing.assert_close(loss, wanted, rtol=1e-6, atol=0)
    if most in (None, 6):
        assert torch.equal(loss, wanted)
