import math

import msgspec
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from peer.trainer.flat import flatten
from peer.trainer.inner import (
    InnerOptimiser,
    for_batch,
    hidden_matrices,
    learning_rate,
    precision,
)
from peer.trainer.model import build
from peer.trainer.muon import Muon
from peer.trainer.optimisers import by_decay
from protocol.manifest import Inner
from tests.peer.trainer.tiny import INNER, MODEL, adamw

SCHEDULE = Inner(learning_rate=1.0, warmup=10, steps=110, final_ratio=0.1)


@pytest.mark.parametrize(
    ("step", "rate"),
    [(0, 0.1), (4, 0.5), (9, 1.0), (10, 1.0), (60, 0.55), (110, 0.1), (5000, 0.1)],
)
def test_the_schedule_by_hand(step, rate):
    assert learning_rate(SCHEDULE, step, step) == pytest.approx(rate)


@pytest.mark.parametrize(("own_step", "share"), [(0, 0.1), (4, 0.5), (9, 1.0), (30, 1.0)])
def test_a_newcomer_ramps_up_on_its_own(own_step, share):
    assert learning_rate(SCHEDULE, 60, own_step) == pytest.approx(0.55 * share)


@given(st.builds(Inner, warmup=st.integers(0, 50), steps=st.integers(1, 50)), st.integers(0, 200))
def test_the_rate_is_positive_and_at_most_the_peak(inner, step):
    assert 0 < learning_rate(inner, step, step) <= inner.learning_rate * (1 + 1e-12)


def test_only_matrices_decay():
    net = build(MODEL, 256, seed=0)
    groups = by_decay(list(net.parameters()), INNER.weight_decay)
    assert {decay: {each.ndim for each in group} for decay, group in groups.items()} == {
        INNER.weight_decay: {2},
        0.0: {1},
    }


def test_the_flat_moments_are_those_of_plain_adamw():
    plain, ours = build(MODEL, 256, seed=0), build(MODEL, 256, seed=0)
    reference, optimiser = adamw(list(plain.parameters()), INNER), InnerOptimiser(ours, flatten(ours), INNER)
    for step, tokens in enumerate(batches(3)):
        plain(tokens).backward()
        torch.nn.utils.clip_grad_norm_(plain.parameters(), INNER.clip)
        for group in reference.param_groups:
            group["lr"] = learning_rate(INNER, step, step)
        reference.step()
        reference.zero_grad()
        ours(tokens).backward()
        optimiser.step(step, step)
    for name in ("exp_avg", "exp_avg_sq"):
        wanted = torch.cat([reference.state[parameter][name].flatten() for parameter in plain.parameters()])
        assert torch.equal(wanted, optimiser.first if name == "exp_avg" else optimiser.second)
    assert all(torch.equal(p, q) for p, q in zip(plain.parameters(), ours.parameters(), strict=True))


def batches(count: int) -> torch.Tensor:
    return torch.randint(256, (count, 2, 33), generator=torch.Generator().manual_seed(0))


def trained(inner: Inner, steps: int = 3):
    """A model after some steps, with its optimiser."""
    net = build(MODEL, 256, seed=0)
    optimiser = InnerOptimiser(net, flatten(net), inner)
    for step, tokens in enumerate(batches(steps)):
        net(tokens).backward()
        optimiser.step(step, step)
    return net, optimiser


def test_muon_trains_the_hidden_matrices_and_adamw_the_rest():
    inner = msgspec.structs.replace(INNER, kind="muon")
    ours, optimiser = trained(inner)
    plain = build(MODEL, 256, seed=0)
    hidden = hidden_matrices(plain)
    assert sorted(map(tuple, {each.shape for each in hidden})) == [(32, 32), (32, 64), (64, 32)]
    rest = [each for each in plain.parameters() if each not in set(hidden)]
    muon = Muon(hidden, {each: torch.zeros_like(each) for each in hidden}, INNER.beta1, INNER.weight_decay)
    others = adamw(rest, inner)
    for step, tokens in enumerate(batches(3)):
        plain(tokens).backward()
        torch.nn.utils.clip_grad_norm_(plain.parameters(), INNER.clip)
        for group in others.param_groups:
            group["lr"] = learning_rate(INNER, step, step)
        muon.step(learning_rate(INNER, step, step))
        others.step()
        plain.zero_grad()
    assert all(torch.equal(p, q) for p, q in zip(plain.parameters(), ours.parameters(), strict=True))
    assert optimiser.second.numel() == sum(each.numel() for each in rest)


def test_sgd_is_plain_and_keeps_nothing():
    inner = msgspec.structs.replace(INNER, kind="sgd", clip=1e6, weight_decay=0.0)
    net, optimiser = trained(inner, steps=1)
    plain = build(MODEL, 256, seed=0)
    plain(batches(1)[0]).backward()
    for ours, theirs in zip(net.parameters(), plain.parameters(), strict=True):
        assert theirs.grad is not None
        torch.testing.assert_close(ours, theirs - learning_rate(inner, 0, 0) * theirs.grad)
    assert optimiser.first.numel() == optimiser.second.numel() == 0


@pytest.mark.parametrize("kind", ["adamw", "muon", "sgd"])
def test_restored_moments_go_on_bit_for_bit(kind):
    inner = msgspec.structs.replace(INNER, kind=kind)
    net, optimiser = trained(inner)
    again = build(MODEL, 256, seed=0)
    flat = flatten(again)
    flat.copy_(torch.cat([parameter.detach().flatten() for parameter in net.parameters()]))
    resumed = InnerOptimiser(again, flat, inner)
    resumed.restore(optimiser.first, optimiser.second, 3)
    for one, its in ((net, optimiser), (again, resumed)):
        one(batches(4)[3]).backward()
        its.step(3, 3)
    assert all(torch.equal(p, q) for p, q in zip(net.parameters(), again.parameters(), strict=True))


def test_a_small_batch_forgets_squares_after_as_many_tokens():
    inner = for_batch(Inner(batch=8, beta1=0.9, beta2=0.96), 2)
    assert inner.beta2 == pytest.approx(0.96**0.25)
    assert inner.beta1 == 0.9
    assert for_batch(INNER, INNER.batch) == INNER


def test_gradients_are_clipped():
    net = build(MODEL, 256, seed=0)
    optimiser = InnerOptimiser(net, flatten(net), msgspec.structs.replace(INNER, clip=1e-3))
    for parameter in net.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimiser.step(0, 0)
    share = 1 - INNER.beta1
    assert float(optimiser.first.norm()) == pytest.approx(1e-3 * share, rel=1e-3)
    assert math.isclose(float(optimiser.first.min()), float(optimiser.first.max()), rel_tol=1e-5)


@pytest.mark.parametrize(("wanted", "dtype"), [("auto", torch.float32), ("bf16", torch.bfloat16)])
def test_precision_on_the_cpu(wanted, dtype):
    net, tokens = build(MODEL, 256, seed=0), torch.zeros(1, 9, dtype=torch.int64)
    with precision(Inner(precision=wanted), torch.device("cpu")):
        assert net.logits(tokens).dtype == dtype
        assert net(tokens).dtype == torch.float32


def test_filters_and_embeddings_are_no_matrices_for_muon():
    net = torch.nn.Sequential(torch.nn.Embedding(4, 4), torch.nn.Conv2d(1, 4, 3), torch.nn.Linear(4, 4))
    assert [tuple(each.shape) for each in hidden_matrices(net)] == [(4, 4)]
    assert hidden_matrices(net)[0] is net[2].weight
