"""The way back of a peer that was left behind: its trainer goes on from the state that the others have."""

from collections.abc import Callable

import trio

from peer.daemon.joining import Joining
from peer.daemon.trainer_link import TrainerLink
from peer.errors import HomeError
from peer.swarm.catching_up import PAUSED_MEANWHILE
from peer.swarm.resting import PAUSED
from peer.swarm.swarm import Swarm
from protocol import trainer as ipc

IDLE = 60.0
"""Seconds for an exchange that is agreed on to end before the trainer is: nothing new begins meanwhile."""

PATIENCE = 300.0
"""Seconds without a whole chunk after which we go on with what we have for a while: we share nothing while we
fetch, and donors without a place would hold us for ever."""

LAST_CHECKPOINT = 600.0
"""Seconds for what there is to be written before anything else takes its place."""

NO_TRAINER = "the trainer was ended before it took the state"


class Returning:
    """Fetches states, lends them to the trainer, and hears what becomes of them. See `catching_up.Source`.

    The old checkpoint stays until the trainer has written one of the new state, which it does only once that
    has passed its tests; until then every end of a trainer leads back to the old one. A trainer is ended only
    once its disk has taken a checkpoint of all that it has.

    Args:
        joining: fetches the state.
        link: to the trainer.
        swarm: the network side.
        room: says why there is no room for a state beside the next checkpoint, or nothing.
    """

    def __init__(self, joining: Joining, link: TrainerLink, swarm: Swarm, room: Callable[[], str]) -> None:
        self._joining = joining
        self._link = link
        self._swarm = swarm
        self._room = room
        self._lending = False
        self._outcome: int | str = NO_TRAINER
        self._told = trio.Event()

    async def fetch(self) -> str:
        """See `Source`."""
        # It looks through the whole home.
        if reason := await trio.to_thread.run_sync(self._room):
            return reason
        if not self._swarm.view.willing():
            return "nobody in view is to be asked for a state now"
        try:
            return "" if await self._joining.fetch(PATIENCE) else "nobody gives a state that is further"
        except HomeError as error:
            return error.message

    async def adopt(self) -> int | str:
        """See `Source`. What was not taken is deleted: the next time it would be old."""
        outcome = await self._adopt()
        if isinstance(outcome, str):
            self._joining.done()
        return outcome

    async def _adopt(self) -> int | str:
        with trio.move_on_after(IDLE):
            await self._swarm.pairing.wait_idle()
        if PAUSED in self._swarm.resting.reasons:
            return PAUSED_MEANWHILE
        if unsaved := await self._link.save(LAST_CHECKPOINT):
            return f"no checkpoint of what the peer has could be written first: {unsaved}"
        self._lending, self._outcome, self._told = True, NO_TRAINER, trio.Event()
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
        if not self._lending:
            return
        if isinstance(message, ipc.Ready):
            self._tell(NO_TRAINER if message.resumed else message.outer_step)
        elif isinstance(message, ipc.StateRefused):
            donors = self._joining.donors
            if len(donors) == 1 and not message.ours:
                self._swarm.view.shun(donors[0])
            self._tell(f"the state that came was of no use: {message.reason}")

    def paused(self) -> None:
        """Hear that the next trainer had to wait: what there is may be old by now."""
        if self._lending:
            self._tell(PAUSED_MEANWHILE)

    def trainer_died(self) -> None:
        """Hear that the trainer has ended unasked: the next goes on from its checkpoint."""
        if self._lending:
            self._tell(NO_TRAINER)

    def _tell(self, outcome: int | str) -> None:
        self._lending, self._outcome = False, outcome
        self._told.set()
