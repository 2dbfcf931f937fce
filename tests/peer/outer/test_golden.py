"""Every value of every rule against its fixture, which the float64 reference wrote."""

import json

import numpy as np
import pytest
import torch

from peer.outer import mix
from peer.outer.group import mean_share
from peer.outer.ranges import Ranges
from peer.outer.rule import Rule
from peer.outer.step import take_outer_step
from tests.peer.outer.make_golden import FOLDER, golden, text
from tests.peer.outer.reference import START
from tests.peer.outer.rules import RULES
from tests.peer.outer.swarm import Replica, swarm

Landing = tuple[int, Rule, Ranges | None, list[mix.Correction | None]]


def ranges(values: list[int]) -> Ranges:
    """Return the runs of ascending places."""
    runs: list[tuple[int, int]] = []
    for value in values:
        if runs and runs[-1][1] == value:
            runs[-1] = (runs[-1][0], value + 1)
        else:
            runs.append((value, value + 1))
    return tuple(runs)


@pytest.mark.parametrize("name", RULES)
def test_the_fixture_is_what_the_reference_gives(name: str) -> None:
    assert (FOLDER / f"{name}.json").read_text(encoding="utf-8") == text(golden()[name])


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-13), (torch.float32, 5e-6)])
def test_every_value_is_the_golden_one(name: str, dtype: torch.dtype, tolerance: float) -> None:
    fixture = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    rule = RULES[name].landing_after(fixture["delay"] / fixture["inner_steps"])
    for constant in ("alpha", "beta", "keep", "warming"):
        assert getattr(rule, constant) == fixture[constant]
    whole = len(fixture["parts"]) == 1
    parts = [(offset, None if whole else ranges(values)) for offset, values in fixture["parts"]]
    replicas = swarm(START, dtype)
    flying: list[Landing] = []
    for step in range(1, len(fixture["after"]) * fixture["inner_steps"] + 1):
        for replica in replicas:
            replica.inner(1)
        flying = land(replicas, flying, step)
        for offset, where in parts:
            if step % fixture["inner_steps"] == offset and rule.shares:
                number = (step - 1) // fixture["inner_steps"]
                mixes, now = fixture["mixings"][number], rule.after(number)
                flying += outer_step(now, replicas, where, mixes, step + fixture["delay"])
        flying = land(replicas, flying, step)
        if step % fixture["inner_steps"] == 0:
            check(replicas, fixture["after"][step // fixture["inner_steps"] - 1], tolerance, f"after {step}")


def outer_step(
    rule: Rule, replicas: list[Replica], where: Ranges | None, mixes: list[list[list[int]]], due: int
) -> list[Landing]:
    """Take everybody's outer step, and return what its mixes ask for; the first entry ends the exchange."""
    for replica in replicas:
        replica.shared = take_outer_step(rule, replica.state, replica.theta, where)
    landings: list[Landing] = [(due, rule, where, [])]
    for groups in mixes:
        corrections: list[mix.Correction | None] = [None] * len(replicas)
        for group in groups:
            mean = mean_share([replicas[i].shared for i in group], [1.0] * len(group))
            for i in group:
                corrections[i] = mix.correction(replicas[i].shared, mean, weight=1.0)
        for replica, correction in zip(replicas, corrections, strict=True):
            if correction is not None:
                mix.refresh(replica.shared, correction)
        landings.append((due, rule, where, corrections))
    return landings


def land(replicas: list[Replica], flying: list[Landing], step: int) -> list[Landing]:
    for due, rule, where, corrections in flying:
        if due != step:
            continue
        for i, replica in enumerate(replicas):
            if not corrections:
                mix.settle(rule, replica.state, replica.theta, where)
            elif (correction := corrections[i]) is not None:
                mix.apply(rule, replica.state, replica.theta, correction, where)
    return [landing for landing in flying if landing[0] > step]


def check(
    replicas: list[Replica], golden: dict[str, list[list[float]]], tolerance: float, where: str
) -> None:
    for i, replica in enumerate(replicas):
        for name, ours in (
            ("theta", replica.theta),
            ("phi", replica.state.phi),
            ("momentum", replica.state.momentum),
        ):
            np.testing.assert_allclose(
                ours.double().numpy(),
                golden[name][i],
                rtol=tolerance,
                atol=tolerance,
                err_msg=f"{name} of {i} {where}",
            )
