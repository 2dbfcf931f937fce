"""Why a peer shares nothing for a while. Several reasons may hold at once; sharing goes on after the last."""

from typing import Protocol

import trio

PAUSED = "paused"
"""It makes no inner steps. Such a constant is also why an outer step goes without a mix: a metric's label."""

STARVED = "waiting for data"
"""Its trainer has no batch just now: most often for seconds."""

FINISHING = "finishing"
"""It leaves once what is under way has ended."""

CATCHING_UP = "catching up"
"""What it has is too old to be mixed, and newer is on its way."""


class Sharing(Protocol):
    """What pairs or gathers."""

    def rest(self, why: str) -> None:
        """Share nothing until `wake`."""

    def wake(self) -> None:
        """Share again, from the next boundary on."""


class Resting:
    """Keeps the reasons, and tells what shares.

    Attributes:
        reasons: those that hold, the first one first.
    """

    def __init__(self, sharing: Sharing) -> None:
        self._sharing = sharing
        self.reasons: tuple[str, ...] = ()
        self._changed = trio.Event()

    def begin(self, why: str) -> None:
        """Share nothing from now on, for this reason too."""
        if why not in self.reasons:
            self._set((*self.reasons, why))

    def end(self, why: str) -> None:
        """Share again, unless another reason holds."""
        if why in self.reasons:
            self._set(tuple(reason for reason in self.reasons if reason != why))

    def _set(self, reasons: tuple[str, ...]) -> None:
        self.reasons = reasons
        if reasons:
            self._sharing.rest(reasons[0])
        else:
            self._sharing.wake()
        changed, self._changed = self._changed, trio.Event()
        changed.set()

    async def wait_for(self, why: str) -> None:
        """Wait until this reason holds."""
        while why not in self.reasons:
            await self._changed.wait()

    async def wait_end(self, why: str) -> None:
        """Wait until this reason holds no more."""
        while why in self.reasons:
            await self._changed.wait()
