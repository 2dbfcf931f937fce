"""Brings a peer back that the swarm has left behind: it fetches the state that the others have, and takes it.

It trains on meanwhile with what it has, and loses that only once the new state has passed its tests. Nothing
is shared until then: partners would refuse it, and avoid us for it.
"""

import math
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


PAUSED_MEANWHILE = "paused meanwhile"

OUTNUMBERED = (
    "fewer peers say that they trained on than came back, so they are not followed; "
    "to join them, start again with a new home"
)


class Source(Protocol):
    """Where states come from, and where they go."""

    async def fetch(self) -> str:
        """Have the state of others at hand; return why there is none, or nothing."""

    async def adopt(self) -> int | str:
        """Go on from the state at hand, and return its outer step; or why all stays as it was."""

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
    """Not those that a pause ended."""
    reason: str = ""
    """Why we stayed behind the last time; empty once we have caught up, or mix again."""


class CatchingUp:
    """Watches whether we are behind, and mends it."""

    def __init__(self, behind: Behind, resting: Resting, source: Source, observer: Observer) -> None:
        self._behind = behind
        self._resting = resting
        self._source = source
        self._observer = observer
        self._steps = 0
        self._fetched = False
        """Something may be there of an attempt that came to nothing."""
        self._reason = ""
        self._outnumbered_until = -math.inf
        """For how long it stays told that those ahead are too few, once it was."""
        self._caught_up = self._failed = 0

    async def run(self) -> None:
        """Watch until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._forget_with_a_mix)
            await self._watch()

    async def _forget_with_a_mix(self) -> None:
        """Drop what was fetched once we mix again, however late that is: the next time it would be old."""
        while True:
            await self._behind.wait_for_a_mix()
            if self._reason != OUTNUMBERED:  # those who came back mix with each other
                self._reason = ""
            if self._fetched and not self._steps:
                self._forget()

    def _forget(self) -> None:
        self._fetched = False
        self._source.forget()

    async def _watch(self) -> None:
        pause = AGAIN_FIRST
        while True:
            await self._catch_up(await self._wait_until_behind())
            if PAUSED in self._resting.reasons:
                # After it what has come would be old, and it takes room meanwhile.
                self._forget()
                continue
            with trio.move_on_after(pause) as waiting:
                await self._behind.wait_for_a_mix()
            pause = min(2 * pause, AGAIN_LONGEST) if waiting.cancelled_caught else AGAIN_FIRST

    async def _wait_until_behind(self) -> int:
        while True:
            await self._resting.wait_end(PAUSED)
            if (steps := self._behind.steps()) is not None:
                return steps
            self._say_who_is_not_followed()
            await trio.sleep(LOOK)

    def _say_who_is_not_followed(self) -> None:
        if trio.current_time() < self._outnumbered_until:
            return
        if (steps := self._behind.outnumbered()) is not None:
            self._outnumbered_until = trio.current_time() + AGAIN_LONGEST
            self._reason = OUTNUMBERED
            self._observer.stayed_behind(steps, OUTNUMBERED)
        elif self._reason == OUTNUMBERED:
            self._reason = ""

    async def _catch_up(self, steps: int) -> None:
        began, self._steps, self._fetched = trio.current_time(), steps, True
        self._observer.fell_behind(steps)
        self._behind.admit()
        self._resting.begin(CATCHING_UP)
        try:
            reason = await self._why_not()
        finally:
            self._steps = 0
            self._resting.end(CATCHING_UP)
        self._reason = reason
        if reason:
            self._failed += reason != PAUSED_MEANWHILE
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
            await self._resting.wait_for(PAUSED)

        await first_of(fetch, wait_for_a_pause)
        if not fetched or PAUSED in self._resting.reasons:
            return PAUSED_MEANWHILE
        if fetched[0]:
            return fetched[0]
        outcome = await self._source.adopt()
        if isinstance(outcome, str):
            return outcome
        self._behind.came_in(outcome)
        return ""

    def statistics(self) -> CatchUpStatistics:
        """Tell what has been, and how far behind we are."""
        return CatchUpStatistics(self._steps, self._caught_up, self._failed, self._reason)
