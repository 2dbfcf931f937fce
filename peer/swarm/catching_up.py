"""Brings a peer back that the swarm has left behind: it fetches the state that the others have, and takes it.

It trains on meanwhile with what it has, and loses that only once the new state has passed its tests. Nothing
is shared until then: partners would refuse it, and avoid us for it.
"""

from dataclasses import dataclass
from typing import Protocol

import trio

from peer.swarm.behind import Behind
from peer.swarm.resting import CATCHING_UP, PAUSED, Resting
from peer.swarm.waiting import first_of

LOOK = 1.0
"""Seconds between two looks at whether we are behind."""

AGAIN_FIRST = 60.0
AGAIN_LONGEST = 3600.0
"""Seconds until the next attempt where the last one failed, or brought no mix: doubling. A state costs donors
far more than a share."""


class Source(Protocol):
    """Where states come from, and where they go."""

    async def fetch(self) -> str:
        """Have the state of others at hand; return why there is none, or nothing."""

    async def adopt(self) -> int | None:
        """Go on from the state at hand, and return its outer step; None where all stays as it was."""

    def forget(self) -> None:
        """Give up what has been fetched: we are not behind any more."""


class Observer(Protocol):
    """Is told of it."""

    def fell_behind(self, outer_steps: int) -> None:
        """Hear that we are so many outer steps behind, and begin to catch up."""

    def caught_up(self, outer_steps: int, seconds: float) -> None:
        """Hear that we have caught up with so many outer steps, in so many seconds."""

    def stayed_behind(self, outer_steps: int, reason: str) -> None:
        """Hear that it came to nothing; we go on with what we have, and try again later."""


@dataclass(frozen=True, slots=True)
class CatchUpStatistics:
    """Attempts since the start."""

    behind: int = 0
    """Outer steps that we are behind while we catch up, else 0."""
    caught_up: int = 0
    failed: int = 0


class CatchingUp:
    """Watches whether we are behind, and mends it."""

    def __init__(self, behind: Behind, resting: Resting, source: Source, observer: Observer) -> None:
        self._behind = behind
        self._resting = resting
        self._source = source
        self._observer = observer
        self._steps = 0
        self._caught_up = self._failed = 0

    async def run(self) -> None:
        """Watch until cancelled."""
        pause = AGAIN_FIRST
        while True:
            await self._catch_up(await self._wait_until_behind())
            if PAUSED in self._resting.reasons:
                continue  # nothing was tried
            with trio.move_on_after(pause) as waiting:
                await self._behind.wait_for_a_mix()
            if waiting.cancelled_caught:
                pause = min(2 * pause, AGAIN_LONGEST)
            else:
                self._source.forget()
                pause = AGAIN_FIRST

    async def _wait_until_behind(self) -> int:
        while True:
            await self._resting.wait_end(PAUSED)
            if (steps := self._behind.steps()) is not None:
                return steps
            await trio.sleep(LOOK)

    async def _catch_up(self, steps: int) -> None:
        began, self._steps = trio.current_time(), steps
        self._observer.fell_behind(steps)
        self._behind.admit()
        self._resting.begin(CATCHING_UP)
        try:
            reason = await self._why_not()
        finally:
            self._steps = 0
            self._resting.end(CATCHING_UP)
        if reason:
            self._failed += 1
            self._observer.stayed_behind(steps, reason)
        else:
            self._caught_up += 1
            self._observer.caught_up(steps, trio.current_time() - began)

    async def _why_not(self) -> str:
        """Fetch and take the state; return what came in between, or nothing."""
        fetched: list[str] = []

        async def fetch() -> None:
            fetched.append(await self._source.fetch())

        async def wait_for_a_pause() -> None:
            # After it what there is would be old again.
            await self._resting.wait_for(PAUSED)

        await first_of(fetch, wait_for_a_pause)
        if not fetched:
            return "paused meanwhile"
        if fetched[0]:
            return fetched[0]
        outer_step = await self._source.adopt()
        if outer_step is None:
            return "the state that came was of no use"
        self._behind.came_in(outer_step)
        return ""

    def statistics(self) -> CatchUpStatistics:
        """Tell what has been, and how far behind we are."""
        return CatchUpStatistics(self._steps, self._caught_up, self._failed)
