"""The way back of a peer that was left behind: its trainer goes on from the state that the others have."""

import trio

from peer.daemon.joining import Joining
from peer.daemon.trainer_link import TrainerLink
from peer.errors import HomeError
from peer.swarm.swarm import Swarm
from protocol import trainer as ipc

IDLE = 60.0
"""Seconds for an exchange that is agreed on to end before the trainer is: nothing new begins meanwhile."""

PATIENCE = 300.0
"""Seconds without a whole chunk after which we go on with what we have for a while: we share nothing while we
fetch, and donors without a place would hold us for ever."""

LAST_CHECKPOINT = 600.0
"""Seconds for what there is to be written before anything else takes its place."""


class Returning:
    """Fetches states, lends them to the trainer, and hears what becomes of them. See `catching_up.Source`.

    The old checkpoint stays until the trainer has written one of the new state, which it does only once that
    has passed its tests; until then every end of a trainer leads back to the old one.
    """

    def __init__(self, joining: Joining, link: TrainerLink, swarm: Swarm) -> None:
        self._joining = joining
        self._link = link
        self._swarm = swarm
        self._lending = False
        self._outcome: int | None = None
        self._told = trio.Event()

    async def fetch(self) -> str:
        """See `Source`."""
        try:
            return "" if await self._joining.fetch(PATIENCE) else "nobody gives a state that is further"
        except HomeError as error:
            return error.message

    async def adopt(self) -> int | None:
        """See `Source`."""
        with trio.move_on_after(IDLE):
            await self._swarm.pairing.wait_idle()
        self._lending, self._outcome, self._told = True, None, trio.Event()
        try:
            if await self._link.renew(LAST_CHECKPOINT):
                self._swarm.pairing.forget()
                await self._told.wait()
        finally:
            self._lending = False
        return self._outcome

    def forget(self) -> None:
        """See `Source`."""
        self._joining.done()

    def lend(self) -> ipc.State | None:
        """Return what the trainer that begins is to go on from; None for its own checkpoint."""
        return self._joining.lend() if self._lending else None

    def heard(self, message: ipc.FromTrainer) -> None:
        """Take in a message of the trainer."""
        if self._lending and isinstance(message, ipc.Ready):
            self._tell(None if message.resumed else message.outer_step)
        elif self._lending and isinstance(message, ipc.StateRefused):
            self._tell(None)

    def trainer_died(self) -> None:
        """Hear that the trainer has ended unasked: the next goes on from its checkpoint."""
        if self._lending:
            self._tell(None)

    def _tell(self, outcome: int | None) -> None:
        self._lending, self._outcome = False, outcome
        self._told.set()
