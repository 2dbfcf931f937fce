"""Pauses that double, end, and are forgotten when all is well."""

import pytest
import trio

from peer.swarm import backoff
from peer.swarm.backoff import Backoff

pytestmark = pytest.mark.anyio


async def test_pauses_double_up_to_the_longest_and_begin_anew_once_it_worked():
    pauses = Backoff(10.0, 60.0)
    assert not pauses.pauses("one")
    for seconds in (10.0, 20.0, 40.0, 60.0, 60.0):
        assert pauses.failed("one") == trio.current_time() + seconds
        await trio.sleep(seconds - 1.0)
        assert pauses.pauses("one")
        assert not pauses.pauses("another")
        await trio.sleep(1.0)
        assert not pauses.pauses("one")
    pauses.worked("one")
    assert pauses.failed("one") == trio.current_time() + 10.0


async def test_where_it_is_hopeless_the_pause_is_the_longest():
    pauses = Backoff(10.0, 60.0)
    assert pauses.failed("one", hopeless=True) == trio.current_time() + 60.0
    await trio.sleep(60.0)
    assert not pauses.pauses("one")


async def test_as_many_names_are_kept_in_mind_as_is_reasonable(monkeypatch):
    monkeypatch.setattr(backoff, "MOST", 2)
    pauses = Backoff(10.0, 60.0)
    for name in "abac":
        pauses.failed(name)
    assert [pauses.pauses(name) for name in "abc"] == [True, False, True]
