"""A team of one, whose collectives are real."""

from datetime import timedelta

import pytest
import torch
import torch.distributed as dist
from torch import nn

from peer.trainer.ranks.patience import AT_FIRST
from peer.trainer.ranks.team import Team

CPU = torch.device("cpu")


@pytest.fixture
def team(tmp_path):
    team = Team.join(0, 1, CPU, tmp_path / "meeting")
    yield team
    team.leave()


def test_a_net_may_hold_what_cannot_be_sent(team):
    net = nn.Linear(2, 1)
    net.register_buffer("table", torch.zeros(3, dtype=torch.int16))
    together = team.together(net)
    together(torch.ones(1, 2)).sum().backward()
    assert torch.equal(net.weight.grad, torch.ones(1, 2))


def test_loading_may_take_as_long_as_there_is_patience(team):
    assert dist.group.WORLD._get_backend(CPU).options._timeout == timedelta(seconds=AT_FIRST)
