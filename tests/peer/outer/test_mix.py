from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from peer.outer.group import mean_share
from peer.outer.mix import Correction, apply, correction, refresh, settle
from peer.outer.rule import PRESETS, Rule, derive
from tests.peer.outer.reference import CURVATURE, INNER_RATE, INNER_STEPS, START
from tests.peer.outer.rules import ADDED, ADDING, TWO_TENSORS
from tests.peer.outer.swarm import Replica, full_round, outer_step, swarm

tensors = st.integers(0, 2**32 - 1).map(
    lambda seed: torch.randn(2, 33, generator=torch.Generator().manual_seed(seed))
)


@given(tensors, st.floats(0, 1))
def test_corrections_are_opposite_to_the_bit(shares: torch.Tensor, weight: float) -> None:
    ours = correction((shares[0],), (shares[1],), weight)
    theirs = correction((shares[1],), (shares[0],), weight)
    assert torch.equal(ours.differences[0], -theirs.differences[0])


@given(tensors, st.floats(0, 1))
def test_weights_lead_from_ones_own_share_to_the_partners(shares: torch.Tensor, weight: float) -> None:
    mine, theirs = shares.double()
    expected = (1 - weight) * mine + weight * theirs
    landed = correction((mine,), (theirs,), weight)
    refresh((mine,), landed)
    torch.testing.assert_close(mine, expected, rtol=1e-12, atol=1e-12)


def test_noloco_lands_beta_of_the_difference_on_everything() -> None:
    (peer,) = swarm([[1.0]], torch.float64)
    landed = correction((torch.tensor([3.0]).double(),), (torch.tensor([7.0]).double(),))
    apply(derive("noloco", beta=0.25), peer.state, peer.theta, landed)
    assert (peer.theta.item(), peer.state.phi.item(), peer.state.momentum.item()) == (1.5, 1.5, 0.5)


def test_differences_in_phi_and_momentum_land_where_they_came_from() -> None:
    (peer,) = swarm([[1.0]], torch.float64)
    mine = torch.tensor([3.0]).double(), torch.tensor([0.5]).double()
    theirs = torch.tensor([7.0]).double(), torch.tensor([-0.5]).double()
    apply(TWO_TENSORS, peer.state, peer.theta, correction(mine, theirs))
    assert (peer.theta.item(), peer.state.phi.item()) == (3.0, 3.0)
    assert peer.state.momentum.item() == -0.5


def test_gossip_lands_a_difference_as_the_step_would_have_taken_it() -> None:
    (peer,) = swarm([[1.0]], torch.float64)
    landed = correction((torch.tensor([3.0]).double(),), (torch.tensor([7.0]).double(),))
    apply(replace(ADDED, alpha=0.5, beta=0.25), peer.state, peer.theta, landed)
    assert (peer.theta.item(), peer.state.phi.item(), peer.state.momentum.item()) == (1.75, 1.75, 2.0)


@pytest.mark.parametrize("rule", [PRESETS["noloco"], ADDED, PRESETS["diloco"]], ids=lambda rule: rule.name)
def test_a_mean_of_fast_weights_draws_members_together(rule: Rule) -> None:
    members = swarm(START, torch.float64)
    for member in members:
        member.inner(INNER_STEPS)
    outer_step(rule, members, [])
    before = torch.stack([member.state.phi for member in members]).var(0).sum()
    mean = mean_share([member.shared for member in members], [1.0] * len(members))
    for member in members:
        apply(rule, member.state, member.theta, correction(member.shared, mean, weight=1.0))
        torch.testing.assert_close(member.theta, member.state.phi)
    assert torch.stack([member.state.phi for member in members]).var(0).sum() < before


def test_a_blend_comes_before_the_mix_that_lands_with_it() -> None:
    """θ ends at keep·θ + (1 - keep)·(φ + c), as if the step had made φ + c at once."""
    (peer,) = swarm([[1.0]], torch.float64)
    peer.theta.fill_(5.0)
    rule = replace(TWO_TENSORS, keep=0.25)
    differences = torch.tensor([2.0]).double(), torch.tensor([0.0]).double()
    settle(rule, peer.state, peer.theta)
    apply(rule, peer.state, peer.theta, Correction(differences))
    assert peer.theta.item() == 0.25 * 5 + 0.75 * (1 + 2)


def test_a_share_of_another_length_never_mixes_in_part() -> None:
    with pytest.raises(ValueError, match="zip"):
        correction((torch.zeros(3),), (torch.zeros(3), torch.zeros(3)))


@pytest.mark.parametrize("name", ADDING)
@given(seed=st.integers(0, 2**32 - 1), late=st.lists(st.integers(0, 9), min_size=4, max_size=4))
def test_a_mix_keeps_the_swarms_mean_whenever_it_lands(name: str, seed: int, late: list[int]) -> None:
    """Each peer's corrections land at its own time; with no inner steps the mean must not move."""
    rule = ADDING[name]
    generator = torch.Generator().manual_seed(seed)
    start = torch.randn(4, 7, generator=generator, dtype=torch.float64)
    mixed, alone = (swarm(start.tolist(), torch.float64) for _ in range(2))
    for replica in mixed + alone:
        replica.inner(INNER_STEPS)
    outer_step(rule, alone, [])
    outer_step(rule, mixed, [])
    pairs = [(0, 2), (1, 3), (0, 1)]
    in_flight = []
    for i, j in pairs:
        for one, other in ((i, j), (j, i)):
            in_flight.append((late[one], one, correction(mixed[one].shared, mixed[other].shared)))
    for _, i, landed in sorted(in_flight, key=lambda entry: entry[:2]):
        apply(rule, mixed[i].state, mixed[i].theta, landed)
    for ours, golden in zip(means(mixed), means(alone), strict=True):
        torch.testing.assert_close(ours, golden, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ADDING)
@pytest.mark.parametrize("late", [0, 1, 3, 5])
def test_a_late_mix_keeps_the_inner_steps_in_between(name: str, late: int) -> None:
    """By hand: an inner step multiplies a displacement by 1 - rate·curvature.

    So a correction c that lands after k of H inner steps ends as c·(1 - rate·curvature)^(H - k) on θ,
    and whole on φ and m; what the inner steps did of themselves is as without the mix.
    """
    rule, inner_steps = ADDING[name], 5
    mixed, alone = (swarm(START, torch.float64) for _ in range(2))
    for replicas in (mixed, alone):
        full_round(rule, replicas, [])  # some momentum to mix
        for replica in replicas:
            replica.inner(INNER_STEPS)
    outer_step(rule, alone, [])
    landed = [
        [difference.clone() for difference in correction(one.shared, other.shared).differences]
        for one, other in ((alone[0], alone[1]), (alone[1], alone[0]))
    ]
    outer_step(rule, mixed, [[(0, 1)]], late=late)
    shrink = (1 - INNER_RATE * torch.tensor(CURVATURE)) ** (inner_steps - late)
    for i in (0, 1):
        mixed[i].inner(inner_steps - late)
        alone[i].inner(inner_steps)
        on_weights, on_momentum = landings(name, landed[i])
        close(mixed[i].theta - alone[i].theta, shrink * on_weights)
        close(mixed[i].state.phi - alone[i].state.phi, on_weights)
        close(mixed[i].state.momentum - alone[i].state.momentum, on_momentum)


def landings(name: str, differences: list[torch.Tensor]) -> list[torch.Tensor]:
    """What lands on φ and on m, by hand; Nesterov's momentum moves φ once more, by alpha·β."""
    if name == "two-tensors":
        return differences
    (difference,) = differences
    if name == "noloco":
        return [0.7 * difference, 0.7 * difference]
    return [(0.7 + 0.8 * 0.7) * difference, difference]


def means(replicas: list[Replica]) -> list[torch.Tensor]:
    return [
        torch.stack([replica.theta for replica in replicas]).mean(0),
        torch.stack([replica.state.phi for replica in replicas]).mean(0),
        torch.stack([replica.state.momentum for replica in replicas]).mean(0),
    ]


def close(ours: torch.Tensor, golden: torch.Tensor) -> None:
    torch.testing.assert_close(ours, golden, rtol=1e-11, atol=1e-12)
