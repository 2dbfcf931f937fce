"""Measuring the way to a peer, over a link whose figures are known."""

import pytest

from peer.simulate.network import Link
from peer.swarm.calls import RefusedError, ask
from peer.swarm.measuring import ALLOWANCE, MeasureServer, measure
from peer.swarm.service import Service
from protocol.measure_calls import MAX_UP, TakeBytes, Taken
from protocol.messages import STREAM_PROTOCOL
from tests.peer.swarm.pipes import two_peers

pytestmark = pytest.mark.anyio
RUN = bytes(32)


def _service():
    service = Service(RUN)
    MeasureServer().register(service)
    return service


async def test_round_trip_and_rates_are_those_of_the_link():
    async with two_peers(STREAM_PROTOCOL, _service().handle) as (network, caller, callee, contact):
        network.link = Link(delay=0.05)
        network.uplinks = {caller.peer_id: Link(0.05, 2e5), callee.peer_id: Link(0.05, 1e6)}
        way = await measure(caller, contact, RUN)
    assert way.round_trip == pytest.approx(0.1, rel=0.05)
    assert way.down == pytest.approx(1e6, rel=0.1)
    assert way.up == pytest.approx(2e5, rel=0.1)
    assert abs(way.clock_ahead) < 5


async def test_a_caller_has_an_allowance():
    async with two_peers(STREAM_PROTOCOL, _service().handle) as (_, caller, _, contact):
        for _ in range(ALLOWANCE // MAX_UP):
            await ask(caller, contact, RUN, TakeBytes(data=bytes(MAX_UP)), Taken)
        with pytest.raises(RefusedError, match="enough"):
            await measure(caller, contact, RUN)
