"""The way of a state: it is fetched into the home, shown as it comes, and lent to the trainer.

Newcomers need one, and those whom the swarm has left behind.
"""

import math
import time

import trio

from peer.daemon.home import Home
from peer.daemon.runtime import Runtime
from peer.swarm.assembly import Assembly
from peer.swarm.newcomer import JoiningStatistics, Newcomer
from peer.swarm.swarm import Run, Swarm
from peer.swarm.transport import Transport
from peer.telemetry import events
from peer.telemetry.format import progress_line
from peer.telemetry.log import Log
from protocol import sizes
from protocol.control import Joining as Told
from protocol.trainer import State

REDRAW = 0.5
"""Seconds between two drawings of the progress line."""

TELL_EVERY = 30.0
"""Seconds between two events that say how far it is."""

LENT = "joined-state"
"""The trainer's name of the state, in the spool folder."""


class Joining:
    """Fetches the state that a trainer starts from. What has come outlives a restart."""

    def __init__(
        self, run: Run, transport: Transport, swarm: Swarm, home: Home, runtime: Runtime, log: Log
    ) -> None:
        self._run_id = run.run_id
        self._transport = transport
        self._swarm = swarm
        self._spool = runtime.spool
        self._log = log
        size = sizes.state_bytes(run.manifest)
        self._assembly = Assembly(home.path / "joining", run.run_id, size)
        self._newcomer = self._make()
        self._fetching = False
        self._suspicious = False
        """The trainer has refused what came, and has taken nothing since."""

    def _make(self) -> Newcomer:
        swarm = self._swarm
        return Newcomer(
            self._transport, swarm.puller, self._run_id, swarm.view, self._assembly, swarm.behind.fit
        )

    async def join(self) -> State | None:
        """Return the state for a newcomer's trainer; None where nobody has one to give.

        Raises:
            HomeError: it cannot be written to disk.
        """
        await self._swarm.serving.wait()
        await self._swarm.find_peers()
        if not await self.fetch():
            self._log(events.NoDonor())
            return None
        return self.lend()

    async def fetch(self, patience: float = math.inf) -> bool:
        """Have the state of others here; False where nobody gives one that is further than ours.

        See `Newcomer.fetch`.

        Raises:
            HomeError: it cannot be written to disk.
        """
        began = time.monotonic()
        self._fetching = True
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._show)
                found = await self._newcomer.fetch(patience)
                nursery.cancel_scope.cancel()
        finally:
            self._fetching = False
            self._log.progress(None)
        if found:
            index, donors = self._assembly.progress, self._assembly.donors
            self._log(
                events.StateFetched(
                    peer=donors[0],
                    size=self._assembly.size,
                    seconds=time.monotonic() - began,
                    inner_step=index.inner_step,
                    donors=donors,
                )
            )
        return found

    def lend(self) -> State:
        """Let the trainer read the state that is here."""
        index = self._assembly.progress
        link = self._spool / LENT
        link.unlink(missing_ok=True)
        link.symlink_to(self._assembly.file)
        return State(file=LENT, inner_step=index.inner_step, outer_step=index.outer_step, tokens=index.tokens)

    async def _show(self) -> None:
        told = trio.current_time()
        while True:
            await trio.sleep(REDRAW)
            now = self._newcomer.statistics()
            line = progress_line(now.received, now.size, now.rate, now.seconds_left)
            self._log.progress(f"fetching the state {line}")
            if trio.current_time() - told >= TELL_EVERY:
                told = trio.current_time()
                self._log(
                    events.StateComing(size=now.size, received=now.received, rate=now.rate, donors=now.donors)
                )

    def refused(self, reason: str) -> None:
        """Hear that the trainer cannot use the state; the next `fetch` begins anew."""
        self._log(events.StateRefused(donors=self._assembly.donors, reason=reason))
        self._suspicious = True
        self._newcomer.refused()

    def taken(self) -> None:
        """Hear that the trainer goes on from the state."""
        self._suspicious = False
        self.done()

    def done(self) -> None:
        """Delete what was fetched: the trainer has its own checkpoint, or needs none any more."""
        self._assembly.delete()
        if not self._suspicious:
            # Else this one goes on: it asks one donor at a time now, to find out whose state is bad.
            self._newcomer = self._make()

    @property
    def donors(self) -> tuple[str, ...]:
        """PeerIDs of those whose state, or parts of it, are here."""
        return self._assembly.donors

    def statistics(self) -> JoiningStatistics | None:
        """Say how far it is; None where nothing is being fetched."""
        return self._newcomer.statistics() if self._fetching else None

    def status(self) -> Told | None:
        """Say the same for `peer status`."""
        now = self.statistics()
        if now is None:
            return None
        return Told(
            size=now.size,
            received=now.received,
            rate=now.rate,
            seconds_left=now.seconds_left,
            donors=now.donors,
        )
