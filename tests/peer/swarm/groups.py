"""Simulated swarms of groups above two, and a record of who ended each group how."""

from collections import defaultdict
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio

from peer.simulate.flock import Bird, Flock
from peer.swarm.reducer import Reducer
from protocol.manifest import Manifest, Outer

DRIFT = 0.1


def strict(founder: bytes) -> Manifest:
    """`diloco`: trainers wait at their boundary."""
    outer = Outer(preset="diloco", alpha=0.9, group=64, mixes=1, overlap=False)
    return Manifest(founder=founder, codecs=("fp32",), outer=outer)


def overlapped(founder: bytes) -> Manifest:
    """The same, but trainers train on."""
    outer = Outer(preset="diloco", alpha=0.9, group=64, mixes=1)
    return Manifest(founder=founder, codecs=("fp32",), outer=outer)


class Chronicle:
    """Which averages landed with whom, group by group."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.endings: defaultdict[bytes, dict[str, bytes | None]] = defaultdict(dict)
        """For each group what landed with each member whose part in it ended; None where nothing did."""
        self.members: dict[bytes, tuple[str, ...]] = {}
        original = Reducer.run

        async def run(reducer, group, share):
            outcome = await original(reducer, group, share)
            landed = reducer._tools.learner.landed[-1] if outcome.result == "done" else None
            self.endings[group.id][group.members[group.own]] = landed
            self.members[group.id] = group.members
            return outcome

        monkeypatch.setattr(Reducer, "run", run)

    def check(self, survivors: list[Bird]) -> None:
        """Of each group, all survivors that mixed have the same bytes; and either all of them did or none."""
        alive = {bird.identity.peer_id for bird in survivors}
        for ended in self.endings.values():
            landed = [what for peer, what in ended.items() if peer in alive]
            assert len(set(landed)) <= 1, "one mixed what another did not"


def hatch(flock: Flock, count: int, **options) -> list[Bird]:
    """Make birds that all know the first."""
    founder = flock.hatch(drift=DRIFT, **options)
    return [founder, *(flock.hatch(through=(founder,), drift=DRIFT, **options) for _ in range(count - 1))]


async def fly(
    birds: list[Bird], seconds: float, *others: Callable[[], Awaitable[None]], until: list[Bird] | None = None
) -> float:
    """Run birds and other tasks until some birds have made their steps, or time is up; return the time."""
    began = trio.current_time()
    with trio.move_on_after(seconds):
        async with trio.open_nursery() as nursery:
            for task in (*(bird.fly for bird in birds), *others):
                nursery.start_soon(task)
            while not all(_is_done(bird) for bird in until or birds):  # noqa: ASYNC110 - a virtual clock
                await trio.sleep(0.25)
            nursery.cancel_scope.cancel()
    return trio.current_time() - began


def _is_done(bird: Bird) -> bool:
    toy = bird.learner
    return toy.mixes + toy.skips >= toy.outer_steps * len(toy.values)


def leftovers(bird: Bird) -> set[Path]:
    """Return the files of a bird's spool folder that nobody owns any more."""
    served = {held.path for held in bird.swarm.store._held.values()}
    return set(bird.learner.spool.iterdir()) - served
