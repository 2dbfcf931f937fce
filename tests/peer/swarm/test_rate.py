import pytest
import trio

from peer.swarm.rate import LEAST, LONGEST_DEBT, RateLimit

pytestmark = pytest.mark.anyio


async def test_no_cap_never_waits():
    limit = RateLimit()
    for _ in range(100):
        await limit.take(1 << 30)
    assert trio.current_time() == pytest.approx(0)
    assert limit.ready


async def test_all_who_ask_share_the_cap_in_their_order():
    limit, passed = RateLimit(1000), []

    async def ask(name):
        await limit.take(500)
        passed.append((name, trio.current_time()))

    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        for name in range(4):
            nursery.start_soon(ask, name)
            await trio.sleep(0.01)
        assert not limit.ready
    names, times = zip(*passed, strict=True)
    assert names == (0, 1, 2, 3)
    assert [time - began for time in times] == pytest.approx([0, 0.5, 1.0, 1.5])
    await trio.sleep(10)
    began = trio.current_time()
    await limit.take(500)
    await limit.take(500)
    assert trio.current_time() - began == pytest.approx(0.5), "what was not used does not pile up"


async def test_a_cap_may_change():
    limit = RateLimit(1000)
    await limit.take(500)
    limit.change(100)
    assert limit.rate == 100
    began = trio.current_time()
    await limit.take(50)
    await limit.take(50)
    assert trio.current_time() - began == pytest.approx(1.0)


def test_slices_are_small_where_the_cap_is_low():
    assert RateLimit(LEAST).slice * 8 <= LEAST
    assert RateLimit().slice == RateLimit(1e9).slice == 256 * 1024


async def test_who_asks_many_times_at_once_takes_turns_with_who_asks_once():
    limit, passed = RateLimit(1000), []

    async def ask(name):
        await limit.take(1000, name)
        passed.append(name)

    async with trio.open_nursery() as nursery:
        for _ in range(40):
            nursery.start_soon(ask, "greedy")
        await trio.sleep(0.01)
        nursery.start_soon(ask, "modest")
        await trio.sleep(3)
        assert "modest" in passed
        nursery.cancel_scope.cancel()
    began = trio.current_time()
    await limit.take(1000, "another")
    assert trio.current_time() - began <= 1.0, "who was cancelled holds no turn"


async def test_what_comes_another_way_is_waited_for():
    limit = RateLimit(1000)
    limit.came(500)
    limit.came(250)
    began = trio.current_time()
    await limit.take(100)
    assert trio.current_time() - began == pytest.approx(0.75)
    RateLimit().came(1 << 30)


async def test_what_came_while_more_was_allowed_is_waited_for_a_few_seconds_at_the_most():
    limit = RateLimit(12_500_000)
    limit.change(125_000)
    for _ in range(10):
        limit.came(6_250_000)
    began = trio.current_time()
    await limit.take(10**6)
    assert trio.current_time() - began == pytest.approx(LONGEST_DEBT)
    limit.came(1)
    await limit.take(1)
    assert trio.current_time() - began == pytest.approx(LONGEST_DEBT + 8), "what was taken is not forgiven"


async def test_who_waits_for_another_cap_hears_of_each():
    limit = RateLimit(1000)
    changed = limit.changed
    limit.change(1000)
    assert not changed.is_set()
    limit.change(500)
    assert changed.is_set()
    assert not limit.changed.is_set()
