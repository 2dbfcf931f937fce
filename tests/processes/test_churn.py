"""A short form of the churn run (`benchmarks/churn.py`): the survivors of kills go on, and all come back."""

import pytest

from benchmarks.churn import Order, churn, settle
from benchmarks.swarms import swarm

pytestmark = [pytest.mark.processes, pytest.mark.timeout(600)]


def test_survivors_of_kills_go_on_and_who_was_killed_comes_back():
    order = Order(peers=4, seconds=15.0, every=4.0, away=4.0, seed=0)
    with swarm(order.peers) as made:
        made.start()
        report = churn(made, order)
        settle(made)
        assert not report.complaints
        assert report.kills == 3
        assert report.returns == 3
        assert report.newcomers == 1
        assert all(peer.life and peer.life.samples[-1].inner_step for peer in made.peers)
