"""The words are the gate's: it is asked here for each of its reasons."""

import pytest
import torch

from peer.outer.gate import check
from peer.swarm.refusals import kind_of
from tests.peer.outer.rules import TWO_TENSORS

MINE = (torch.linspace(-1, 1, 64), torch.zeros(64))
ELSEWHERE = 0.25 * MINE[0] + 0.968 * MINE[0].norm() * torch.ones(64) / 8
"""As long as ours, at a cosine of 0.25."""


@pytest.mark.parametrize(
    ("theirs", "kind"),
    [
        ((MINE[0],), "wrong shape"),
        ((MINE[0][:32], MINE[1]), "wrong shape"),
        ((MINE[0] * torch.inf, MINE[1]), "not finite"),
        ((MINE[0] * 9, MINE[1]), "too far"),
        ((MINE[0].flip(0), MINE[1]), "too far"),
        ((2.5 * ELSEWHERE, MINE[1]), "points elsewhere"),
        ((MINE[0], MINE[1] + 7), "too far"),
    ],
)
def test_each_reason_of_the_gate_has_its_kind(theirs, kind):
    reason = check(TWO_TENSORS, MINE, theirs)
    assert reason is not None
    assert kind_of(reason) == kind, reason


def test_one_average_of_several_is_its_makers_fault():
    reason = check(TWO_TENSORS, MINE, (MINE[0] * 9, MINE[1]))
    assert kind_of(f"the average of part 3: {reason}") == "bad average"
    assert kind_of(f"4 of 5 averages, the average of part 0: {reason}") == "too far"


def test_what_the_gate_does_not_say_is_unreadable():
    assert kind_of("The frame ends early") == "unreadable"
