from dataclasses import replace

import pytest
import torch

from peer.outer.rule import PRESETS, Rule, derive
from peer.outer.step import OuterState, take_outer_step
from tests.peer.outer.rules import ADDED, TWO_TENSORS


def moved(phi: torch.Tensor) -> tuple[OuterState, torch.Tensor]:
    """A state with some momentum, and θ after some inner steps."""
    state = OuterState.create(phi)
    state.momentum.copy_(torch.tensor([0.5, -1.0, 0.25]))
    return state, phi + torch.tensor([1.0, 2.0, -3.0])


def test_create_copies() -> None:
    theta = torch.tensor([1.0, 2.0], requires_grad=True)
    state = OuterState.create(theta)
    with torch.no_grad():
        theta.add_(1)
    assert state.phi.tolist() == [1.0, 2.0]
    assert state.momentum.tolist() == [0.0, 0.0]
    assert not state.phi.requires_grad


def test_heavy_ball_by_hand() -> None:
    state, theta = moved(torch.zeros(3, dtype=torch.float64))
    take_outer_step(derive("noloco", alpha=0.5, beta=0.25), state, theta)
    momentum = [0.5 * 0.5 + 0.25 * 1, -0.5 + 0.25 * 2, 0.125 - 0.25 * 3]
    assert state.momentum.tolist() == momentum
    assert state.phi.tolist() == momentum
    assert theta.tolist() == momentum


def test_nesterov_by_hand() -> None:
    state, theta = moved(torch.zeros(3, dtype=torch.float64))
    take_outer_step(replace(ADDED, alpha=0.5, beta=0.25), state, theta)
    assert state.momentum.tolist() == [1.25, 1.5, -2.875]
    assert state.phi.tolist() == [0.25 * (1 + 0.625), 0.25 * (2 + 0.75), 0.25 * (-3 - 1.4375)]
    assert theta.tolist() == state.phi.tolist()


@pytest.mark.parametrize("preset", ["noloco", "gossip"])
def test_theta_is_shared_as_it_was_at_the_boundary(preset: str) -> None:
    state, theta = moved(torch.ones(3))
    boundary = theta.clone()
    (share,) = take_outer_step(PRESETS[preset], state, theta)
    theta.add_(7)
    assert torch.equal(share, boundary)


def test_phi_and_momentum_are_shared_as_they_are_after_the_step() -> None:
    state, theta = moved(torch.ones(3))
    phi, momentum = take_outer_step(TWO_TENSORS, state, theta)
    assert torch.equal(phi, state.phi)
    assert torch.equal(momentum, state.momentum)
    state.phi.add_(7)
    state.momentum.add_(7)
    assert not torch.equal(phi, state.phi)
    assert not torch.equal(momentum, state.momentum)


def test_solo_changes_no_bit_and_shares_nothing() -> None:
    theta = torch.randn(1000)
    state = OuterState.create(torch.randn(1000))
    before = theta.clone(), state.phi.clone(), state.momentum.clone()
    assert take_outer_step(PRESETS["solo"], state, theta) == ()
    for now, then in zip((theta, state.phi, state.momentum), before, strict=True):
        assert torch.equal(now.view(torch.int32), then.view(torch.int32))


@pytest.mark.parametrize("rule", [PRESETS["noloco"], ADDED, TWO_TENSORS], ids=lambda rule: rule.name)
def test_the_step_works_in_place(rule: Rule) -> None:
    """The trainer's parameters are views of θ, so its memory must stay where it is."""
    state, theta = moved(torch.zeros(3))
    tensors = theta, state.phi, state.momentum
    places = [tensor.data_ptr() for tensor in tensors]
    view = theta[1:]
    take_outer_step(rule, state, theta)
    assert [tensor.data_ptr() for tensor in tensors] == places
    assert torch.equal(view, state.phi[1:])
