"""A donor: captures its trainer's state, signs an index of it, and lets a few newcomers at a time pull it."""

from collections.abc import Callable
from dataclasses import dataclass

import trio

from peer.swarm.guests import Guests
from peer.swarm.learner import Learner, LearnerGoneError
from peer.swarm.objects import ObjectStore
from peer.swarm.service import Reply
from peer.swarm.view import View
from protocol.identity import Identity
from protocol.limits import MAX_NAMED
from protocol.messages import AskState, Full, ObjectRef, Refused, StateIs
from protocol.state_index import SignedIndex, StateIndex, sign_index

FRESH = 2.0
"""Seconds for which one captured state serves every newcomer: a crowd costs the trainer one capture."""

MOST_STATES = 2
"""Captured states on disk at once: each is as large as a checkpoint's weights and momentum."""

OLD = 300.0
"""Seconds after which the latest state is too old for one more guest, even where all that we keep is held.
Then the other one gives way to a new one: its guests had it for as long, and go on with the new one."""

NO_PLACE = 2.0
"""Seconds after which a newcomer for whom there is no place may ask again."""


@dataclass(frozen=True, slots=True)
class StateStatistics:
    """States given away."""

    served: int
    turned_away: int


@dataclass(frozen=True, slots=True)
class _Held:
    """A captured state, as it was promised to somebody."""

    ref: ObjectRef
    sealed: SignedIndex


class Donor:
    """Answers `AskState`: `Full` to one guest too many, `Refused` while there is no state to give."""

    def __init__(
        self,
        store: ObjectStore,
        learner: Learner,
        identity: Identity,
        run_id: bytes,
        view: View,
        nursery: trio.Nursery,
        on_served: Callable[[str, int], None],
    ) -> None:
        self._store = store
        self._learner = learner
        self._identity = identity
        self._run_id = run_id
        self._view = view
        self._nursery = nursery
        self._on_served = on_served
        self._capturing = trio.Lock()
        self._latest: _Held | None = None
        self._taken = 0.0
        """When the latest was captured."""
        self._guests = Guests()
        self._held: dict[bytes, _Held] = {}
        """Captured states that can be pulled, by name."""
        self._served = self._turned_away = 0
        self.sparing = False
        """Give to nobody new: this host's line has carried what it may."""
        self.outdated: Callable[[], bool] = lambda: False
        """Whether others in view have a newer state to give."""

    async def serve(self, caller: str, call: AskState) -> Reply:  # noqa: ARG002 - it asks for all or nothing
        """Capture the state, or take one captured a moment ago, and hold it ready to be pulled."""
        if self.outdated():
            return Refused(reason="we have been away, and others have newer")
        async with self._capturing:
            try:
                held = await self._state_for(caller)
            except LearnerGoneError:
                return Refused(reason="our trainer has no state to give (yet)")
        if held is None:
            self._turned_away += 1
            return Full(seconds=NO_PLACE, others=tuple(self._view.sample(MAX_NAMED)))
        self._served += 1
        self._on_served(caller, held.ref.size)
        return StateIs(index=held.sealed)

    async def _state_for(self, caller: str) -> _Held | None:
        """Return what `caller` may pull, or None where there is no place for it now."""
        name = self._guests.promised(caller)
        if name is not None:
            return self._held[name]
        if self.sparing or not self._guests.admits(caller):
            return None
        held = await self._fresh_state()
        if held is not None:
            # Only now: a capture that failed takes no place.
            self._guests.promise(caller, held.ref)
        return held

    async def _fresh_state(self) -> _Held | None:
        latest = self._latest
        if latest is not None and latest.ref.sha256 not in self._held:
            latest = None
        if latest is not None and self._taken > trio.current_time() - FRESH:
            return latest
        if len(self._held) >= MOST_STATES:
            if self._taken > trio.current_time() - OLD:
                # Guests hold all that we keep: what is there is as good as any that is not much older.
                return latest
            self._give_way()
        held = await self._capture()
        self._latest, self._taken = held, trio.current_time()
        name = held.ref.sha256
        if name not in self._held:
            # Else the same bytes again: whoever waits for the last guest of the first sees this one's too.
            self._held[name] = held
            self._nursery.start_soon(self._retire_in_time, held)
        return held

    def _give_way(self) -> None:
        """Retire the older of the states that are held, however many guests are at it and however slow."""
        oldest = next(iter(self._held.values()))
        self._guests.dismiss(oldest.ref)
        self._retire(oldest)

    async def _capture(self) -> _Held:
        captured = await self._learner.capture()
        if captured.state is None:
            raise LearnerGoneError
        index = StateIndex(
            run_id=self._run_id,
            peer_id=self._identity.peer_id,
            size=captured.size,
            inner_step=captured.state.inner_step,
            outer_step=captured.state.outer_step,
            tokens=captured.state.tokens,
            hashes=captured.hashes,
        )
        ref = ObjectRef(sha256=index.name, size=index.size)

        def may_read(reader: str, length: int) -> bool:
            return self._guests.may_read(reader, ref, length)

        self._store.add(ref, captured.state.file, may_read)
        return _Held(ref, sign_index(index, self._identity))

    async def _retire_in_time(self, held: _Held) -> None:
        await trio.sleep(FRESH)
        # A guest that reads pushes its own end on, and others may have come.
        while (until := self._guests.hold_until(held.ref)) > trio.current_time():  # noqa: ASYNC110
            await trio.sleep_until(until)
        if self._held.get(held.ref.sha256) is held:
            self._retire(held)

    def _retire(self, held: _Held) -> None:
        del self._held[held.ref.sha256]
        self._store.retire(held.ref.sha256)

    def statistics(self) -> StateStatistics:
        """Counters since the start."""
        return StateStatistics(self._served, self._turned_away)
