"""Measuring the way to a peer, over a link whose figures are known."""

import pytest
import trio

from peer.simulate.network import Link
from peer.swarm.calls import RefusedError, ask
from peer.swarm.measuring import ALLOWANCE, ALLOWANCE_OF_ALL, MeasureServer, measure
from peer.swarm.rate import RateLimit
from peer.swarm.service import Service
from protocol.measure_calls import MAX_UP, TakeBytes, Taken
from protocol.messages import STREAM_PROTOCOL, Refused
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


@pytest.mark.parametrize("rate", [1.25e5, 4e4])
async def test_a_slow_link_is_measured_in_seconds_and_not_by_its_bytes(rate):
    async with two_peers(STREAM_PROTOCOL, _service().handle) as (network, caller, _, contact):
        network.link = Link(0.05, rate)
        began = trio.current_time()
        way = await measure(caller, contact, RUN)
        assert trio.current_time() - began < 20
    assert way.down == pytest.approx(rate, rel=0.2)
    assert way.up == pytest.approx(rate, rel=0.2)


async def test_all_callers_together_have_an_allowance_too():
    server = MeasureServer()
    for caller in range(ALLOWANCE_OF_ALL // ALLOWANCE):
        for _ in range(ALLOWANCE // MAX_UP):
            assert isinstance(await server.serve_taking(str(caller), TakeBytes(data=bytes(MAX_UP))), Taken)
    assert isinstance(await server.serve_taking("another", TakeBytes(data=b"x")), Refused)


async def test_what_is_given_for_measuring_keeps_to_the_cap():
    service = Service(RUN)
    MeasureServer(RateLimit(2e5)).register(service)
    async with two_peers(STREAM_PROTOCOL, service.handle) as (_, caller, _, contact):
        assert (await measure(caller, contact, RUN)).down == pytest.approx(2e5, rel=0.2)


async def test_a_caller_has_an_allowance():
    async with two_peers(STREAM_PROTOCOL, _service().handle) as (_, caller, _, contact):
        for _ in range(ALLOWANCE // MAX_UP):
            await ask(caller, contact, RUN, TakeBytes(data=bytes(MAX_UP)), Taken)
        with pytest.raises(RefusedError, match="enough"):
            await measure(caller, contact, RUN)
