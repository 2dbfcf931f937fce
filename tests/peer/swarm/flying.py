"""Lets a flock fly, and compares what its birds say of one another."""

from collections import Counter

import trio


async def fly(flock, seconds, *also):
    """Run every bird, and whatever else, for so long."""
    with trio.move_on_after(seconds):
        async with trio.open_nursery() as nursery:
            for bird in flock.birds:
                nursery.start_soon(bird.fly)
            for one in also:
                nursery.start_soon(one)


def assert_both_or_neither(birds):
    """Of each two birds, one has mixed with the other as often as the other with it."""
    names = {bird.identity.peer_id for bird in birds}
    done = Counter(
        (bird.identity.peer_id, outcome.partner)
        for bird in birds
        for outcome in bird.record.outcomes
        if outcome.result == "done" and outcome.partner in names
    )
    assert done
    assert done == Counter({(other, one): count for (one, other), count in done.items()})
