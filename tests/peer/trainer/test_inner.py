import math

import msgspec
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from peer.trainer.flat import flatten
from peer.trainer.inner import InnerOptimiser, adamw, learning_rate, precision
from peer.trainer.model import build
from protocol.manifest import Inner
from tests.peer.trainer.tiny import INNER, MODEL

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
    decays = {
        group["weight_decay"]: [parameter.ndim for parameter in group["params"]]
        for group in adamw(net, INNER).param_groups
    }
    assert set(decays[INNER.weight_decay]) == {2}
    assert set(decays[0.0]) == {1}


def test_the_flat_moments_are_those_of_plain_adamw():
    batches = torch.randint(256, (3, 2, 33), generator=torch.Generator().manual_seed(0))
    plain, ours = build(MODEL, 256, seed=0), build(MODEL, 256, seed=0)
    reference, optimiser = adamw(plain, INNER), InnerOptimiser(ours, flatten(ours), INNER)
    for step, tokens in enumerate(batches):
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
