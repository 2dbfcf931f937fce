"""The delay, the rate and the window that a shaped link makes."""

import random
from itertools import pairwise

import pytest
import trio
from trio.testing import memory_stream_pair

from peer.links.ladder import LADDER, MBIT, WINDOW, Link, Way, even
from peer.links.roads import BURST, INITIAL_WINDOW, LEAST_TIMEOUT, Flow, Road, Tandem

pytestmark = pytest.mark.anyio


async def _send(link, sizes, *, seed=0, streams=1):
    """Send through one road; return for each stream the times at which its bytes came, and their number."""
    road = Road(link.up, random.Random(seed))
    arrivals = [[] for _ in range(streams)]

    async def receive(stream, found):
        while data := await stream.receive_some(BURST):
            found.append((trio.current_time() - began, len(data)))

    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        for found in arrivals:
            (near, source), (sink, far) = memory_stream_pair(), memory_stream_pair()
            nursery.start_soon(Flow(road, link).run, source, sink)
            nursery.start_soon(receive, far, found)
            for size in sizes:
                await near.send_all(bytes(size))
            await near.send_eof()
    return arrivals


def _last(arrivals):
    return max(found[-1][0] for found in arrivals)


def _whole(arrivals):
    return [sum(size for _, size in found) for found in arrivals]


async def test_one_byte_takes_the_delay_and_no_more():
    for link in LADDER.values():
        [found] = await _send(link, [1])
        assert link.up.delay <= found[0][0] <= link.up.delay + link.up.jitter + 1e-3


async def test_many_connections_share_the_rate_and_one_fills_its_window_only():
    link = even("far", 0.1, 1000 * MBIT, slow_start=False)
    four = await _send(link, [6_000_000], streams=4)
    assert _whole(four) == [6_000_000] * 4
    # 10.24 MB fit the four windows, and the link carries 12.5 MB in a round trip.
    assert _last(four) == pytest.approx(0.05 + 24e6 / (4 * WINDOW / 0.1), rel=0.25)
    one = await _send(link, [6_000_000])
    assert _last(one) == pytest.approx(0.05 + 6e6 / (WINDOW / 0.1), rel=0.25)
    eight = await _send(link, [6_000_000], streams=8)
    assert _last(eight) == pytest.approx(0.05 + 48e6 / (1000 * MBIT), rel=0.05)


async def test_slow_start_doubles_each_round_trip_and_begins_again_after_a_rest():
    link = even("far", 0.1, 1000 * MBIT)
    [found] = await _send(link, [INITIAL_WINDOW * 7])
    for trips, total in enumerate((1, 3, 7)):
        came = sum(size for when, size in found if when < 0.05 + 0.1 * trips + 0.02)
        assert came == INITIAL_WINDOW * total


async def test_the_queue_is_bounded_so_a_sender_waits_at_the_bottleneck():
    way = Way(delay=0.01, rate=100_000, queue=0.5)
    road = Road(way, random.Random(0))
    began = trio.current_time()
    for _ in range(20):
        await road.enter(10_000)
    assert trio.current_time() - began == pytest.approx(2.0 - 0.5 - 0.1, abs=0.11)


async def test_jitter_keeps_the_order_and_a_loss_is_a_pause_of_one_connection():
    link = Link("rough", Way(0.05, jitter=0.03), Way(0.05), window=10_000_000, slow_start=False)
    [found] = await _send(link, [BURST] * 50)
    times = [when for when, _ in found]
    assert times == sorted(times)
    assert 0.05 < times[0] < times[-1] <= 0.08 + 1e-9
    lossy = Link("lossy", Way(0.05, loss=0.3), Way(0.05), window=10_000_000, slow_start=False)
    arrivals = await _send(lossy, [BURST] * 2, streams=8)
    late = [found[-1][0] > 0.05 + LEAST_TIMEOUT for found in arrivals]
    assert any(late)
    assert not all(late)
    assert _whole(arrivals) == [2 * BURST] * 8


async def test_a_link_that_is_turned_is_the_same_from_the_other_side():
    link = LADDER["cable"]
    assert link.turned().up == link.down
    assert link.turned().turned() == link
    assert link.round_trip == link.turned().round_trip == pytest.approx(0.02)


async def test_two_lines_one_after_the_other_add_their_delays_and_the_slower_decides():
    rng = random.Random(0)
    up, down = Road(Way(0.02, 400_000, queue=10), rng), Road(Way(0.03, 100_000, queue=10), rng)
    both = Tandem(up, down)
    assert both.delay == pytest.approx(0.05)
    arrivals = [await both.enter(10_000) for _ in range(5)]
    gaps = [late - early for early, late in pairwise(arrivals)]
    assert arrivals[0] - trio.current_time() == pytest.approx(0.05 + 0.025 + 0.1)
    assert gaps == pytest.approx([0.1] * 4)


async def test_a_road_that_is_closed_takes_nothing_and_what_waited_goes_on_when_it_opens():
    road = Road(Way(0.01), random.Random(0))
    down = Road(Way(0.01), random.Random(0))
    began = trio.current_time()
    down.close()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_reopen_after, down, 7.0)
        arrival = await Tandem(road, down).enter(1)
    assert arrival - began == pytest.approx(7.02)


async def _reopen_after(road, seconds):
    await trio.sleep(seconds)
    road.reopen()
