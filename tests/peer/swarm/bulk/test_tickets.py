"""How many tokens there are, with those whose bearers are proving themselves."""

import pytest

from peer.swarm.bulk.certificate import Certificate
from peer.swarm.bulk.tickets import MOST, Tickets, selector

pytestmark = pytest.mark.anyio


async def test_who_is_proving_himself_gets_no_more_and_counts():
    ours = Certificate.fresh()
    context, tickets = ours.answering(ours.der), Tickets()

    def issue(peer_id, count):
        return tickets.issue(peer_id, ours.der, context, count)

    token, _ = issue("one", 2)
    with tickets.redeem(selector(token)) as ticket:
        assert ticket is not None
        assert not issue("one", 1)
        assert not issue("other", MOST - 1)
        assert len(issue("other", MOST - 2)) == MOST - 2
    assert len(issue("one", 1)) == 1
