"""How the peers in view are connected, from real parts over simulated links."""

import random

import pytest

from peer.simulate.network import Network
from peer.swarm.goodput import Goodput
from peer.swarm.links import links
from peer.swarm.view import View
from tests.peer.swarm.test_view import OWN, RUN, _identity, _record


@pytest.mark.anyio
async def test_each_peer_in_view_is_told_with_what_is_known_of_its_link():
    network, view, goodput = Network(), View(OWN.peer_id, RUN, rng=random.Random(0)), Goodput()
    transport = network.add(OWN.peer_id)
    names = [_identity(index).peer_id for index in range(5)]
    for index, name in enumerate(names):
        view.learn(_record(index))
        if index < 4:
            view.answered(name)
    direct, relayed = names[2], names[0]
    network.connections.add(frozenset((OWN.peer_id, direct)))
    network.circuits.add(frozenset((OWN.peer_id, relayed)))
    goodput.sent(direct, 10_000, 1.0)
    view.timed(direct, 0.02)
    view.exchanged(relayed, well=False)

    told = links(view, transport, goodput, None, most=10)
    assert [link.way for link in told] == ["direct", "relayed", "none", "none"]
    assert {link.peer_id for link in told} == set(names[:4]), "word of mouth is no link"
    assert (told[0].peer_id, told[1].peer_id) == (direct, relayed)
    assert (told[0].rate_in, told[0].rate_out, told[0].round_trip, told[0].avoided) == (
        None,
        10_000,
        0.02,
        0.0,
    )
    assert told[1].avoided > 0
    assert told[2].peer_id < told[3].peer_id
    assert [link.peer_id for link in links(view, transport, goodput, None, most=1)] == [direct]
