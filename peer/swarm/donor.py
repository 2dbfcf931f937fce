"""A donor: captures its trainer's state, signs an index of it, and lets a few newcomers at a time pull it."""

from collections.abc import Callable
from dataclasses import dataclass

import trio

from peer.swarm.learner import Learner, LearnerGoneError
from peer.swarm.objects import ObjectStore
from peer.swarm.service import Reply
from peer.swarm.view import View
from protocol.identity import Identity
from protocol.limits import MAX_NAMED
from protocol.messages import AskState, Full, ObjectRef, Refused, StateIs
from protocol.state_index import SignedIndex, StateIndex, sign_index

GUESTS = 4
"""Newcomers served in `LINGER` seconds; more would slow each other and the donor's own exchanges."""

FRESH = 2.0
"""Seconds for which one captured state serves every newcomer: a crowd costs the trainer one capture."""

LINGER = 60.0
"""Seconds without a read or a promise after which a captured state goes."""

MOST_STATES = 2
"""Captured states on disk at once: each is as large as a checkpoint's weights and momentum."""

NO_PLACE = 2.0
"""Seconds after which a newcomer for whom there is no place may ask again."""

SLOWEST = 50_000
"""Bytes a second at which a captured state is pulled at the least, for as long as it is held."""


def longest_hold(size: int) -> float:
    """Return for how many seconds an object of `size` bytes is there for those who pull it."""
    return 60.0 + size / SLOWEST


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


@dataclass(slots=True)
class _Guest:
    since: float
    promised: _Held


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
        self._latest: tuple[float, _Held] | None = None
        self._guests: dict[str, _Guest] = {}
        self._promises: dict[bytes, int] = {}
        """Captured states that we hold, by name, and how often each was promised."""
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
        self._promises[held.ref.sha256] += 1
        self._served += 1
        self._on_served(caller, held.ref.size)
        return StateIs(index=held.sealed)

    async def _state_for(self, caller: str) -> _Held | None:
        """Return what `caller` may pull, or None where there is no place for it now."""
        left = trio.current_time() - LINGER
        self._guests = {name: guest for name, guest in self._guests.items() if guest.since > left}
        guest = self._guests.get(caller)
        if guest is not None and guest.promised.ref.sha256 in self._promises:
            return guest.promised
        if guest is None and (self.sparing or len(self._guests) >= GUESTS):
            return None
        held = await self._fresh_state()
        if held is not None:
            # Only now: a capture that failed takes no place.
            self._guests[caller] = _Guest(guest.since if guest else trio.current_time(), held)
        return held

    async def _fresh_state(self) -> _Held | None:
        if self._latest is not None and self._latest[0] > trio.current_time() - FRESH:
            return self._latest[1]
        if len(self._promises) >= MOST_STATES:
            # Somebody slow holds the others: what is there is as good as any that is not much older.
            return self._latest[1] if self._latest and self._latest[1].ref.sha256 in self._promises else None
        held = await self._capture()
        self._latest = (trio.current_time(), held)
        if held.ref.sha256 not in self._promises:
            # Else the same bytes again: whoever waits for the end of the first sees this promise too.
            self._promises[held.ref.sha256] = 0
            self._nursery.start_soon(self._retire_in_time, held.ref)
        return held

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
        self._store.add(ref, captured.state.file)
        return _Held(ref, sign_index(index, self._identity))

    async def _retire_in_time(self, ref: ObjectRef) -> None:
        # The limit is for a hostile peer, which could read a byte now and then for ever.
        with trio.move_on_after(FRESH + LINGER + longest_hold(ref.size)):
            await self._unused(ref.sha256)
        del self._promises[ref.sha256]
        self._store.retire(ref.sha256)

    async def _unused(self, name: bytes) -> None:
        used = -1
        while used != (now := self._store.reads(name) + self._promises[name]):
            used = now
            await trio.sleep(LINGER)

    def statistics(self) -> StateStatistics:
        """Counters since the start."""
        return StateStatistics(self._served, self._turned_away)
