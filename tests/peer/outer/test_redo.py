"""The outer step redone for a group, against the step itself and the rule's own mixes."""

from dataclasses import replace

import pytest
import torch

from peer.outer import mix
from peer.outer.redo import redo
from peer.outer.redo import replace as replace_step
from peer.outer.rule import PRESETS
from peer.outer.step import OuterState, take_outer_step
from tests.peer.outer.rules import TWO_TENSORS

SIZE = 40
WHERE = ((3, 10), (20, 31))
RULES = [PRESETS["noloco"], PRESETS["diloco"], TWO_TENSORS]


def drawn(seed: int, dtype: torch.dtype = torch.float64) -> list[torch.Tensor]:
    """φ, m and three peers' θ."""
    generator = torch.Generator().manual_seed(seed)
    phi, momentum, *thetas = torch.randn(5, SIZE, generator=generator, dtype=dtype)
    return [phi, momentum * 0.1, *(phi + 0.1 * theta for theta in thetas)]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_redoing_with_ones_own_pseudo_gradient_is_the_step(rule):
    phi, momentum, theta, *_ = drawn(0)
    before = OuterState(phi.clone(), momentum.clone())
    state = OuterState(phi.clone(), momentum.clone())
    again = redo(rule, before, theta - phi)
    take_outer_step(rule, state, theta.clone())
    torch.testing.assert_close(again.phi, state.phi)
    torch.testing.assert_close(again.momentum, state.momentum)
    assert torch.equal(before.phi, phi)
    assert torch.equal(before.momentum, momentum)


@pytest.mark.parametrize("where", [None, WHERE])
def test_redoing_on_the_mean_is_what_the_groups_corrections_give(where):
    rule = PRESETS["diloco"]
    phi, momentum, *thetas = drawn(1)
    mean = torch.stack(thetas).mean(dim=0)
    cut = slice(None) if where is None else torch.cat([torch.arange(*run) for run in where])
    before = OuterState(phi[cut].clone(), momentum[cut].clone())
    agreed = redo(rule, before, mean[cut] - phi[cut])
    by_mix, by_redo = [], []
    for theta in thetas:
        for ends in (by_mix, by_redo):
            state, fast = OuterState(phi.clone(), momentum.clone()), theta.clone()
            shared = take_outer_step(rule, state, fast, where)
            fast += 0.01  # an inner step while the group was at work
            if ends is by_mix:
                mix.apply(rule, state, fast, mix.correction(shared, (mean[cut],), weight=1.0), where)
            else:
                mine = OuterState(state.phi[cut].clone(), state.momentum[cut].clone())
                replace_step(rule, state, fast, mine, agreed, where)
            ends.append(torch.stack((state.phi, state.momentum, fast)))
    torch.testing.assert_close(by_redo, by_mix)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_members_that_have_not_moved_end_with_the_same_bits(rule):
    phi, momentum, *thetas = drawn(2, torch.float32)
    agreed = redo(rule, OuterState(phi, momentum), torch.stack(thetas).mean(dim=0) - phi)
    for theta in thetas:
        state, fast = OuterState(phi.clone(), momentum.clone()), theta.clone()
        take_outer_step(rule, state, fast)
        mine = OuterState(state.phi.clone(), state.momentum.clone())
        replace_step(rule, state, fast, mine, agreed)
        assert torch.equal(state.phi, agreed.phi)
        assert torch.equal(state.momentum, agreed.momentum)
        assert torch.equal(fast, agreed.phi)


def test_what_a_member_learned_in_flight_stays():
    rule = PRESETS["diloco"]
    phi, momentum, theta, other, _ = drawn(4)
    agreed = redo(rule, OuterState(phi, momentum), (theta + other) / 2 - phi)
    state, fast = OuterState(phi.clone(), momentum.clone()), theta.clone()
    take_outer_step(rule, state, fast)
    mine = OuterState(state.phi.clone(), state.momentum.clone())
    fast += 0.25
    replace_step(rule, state, fast, mine, agreed)
    torch.testing.assert_close(fast, agreed.phi + 0.25)
    assert torch.equal(state.phi, agreed.phi)


def test_a_blend_ends_between_the_fast_weights_and_what_was_agreed():
    rule = replace(PRESETS["streaming-diloco"], keep=0.25)
    phi, momentum, theta, other, _ = drawn(3)
    agreed = redo(rule, OuterState(phi, momentum), (theta + other) / 2 - phi)
    state, fast = OuterState(phi.clone(), momentum.clone()), theta.clone()
    take_outer_step(rule, state, fast)
    mine = OuterState(state.phi.clone(), state.momentum.clone())
    mix.settle(rule, state, fast)
    replace_step(rule, state, fast, mine, agreed)
    torch.testing.assert_close(fast, 0.25 * theta + 0.75 * agreed.phi)
