"""A newcomer gets slow weights, momentum and progress from a donor before its first step."""

from collections.abc import Callable
from dataclasses import dataclass

import trio

from peer.errors import HomeError
from peer.swarm.calls import RefusedError, ask
from peer.swarm.learner import Learner, LearnerGoneError
from peer.swarm.objects import ObjectStore
from peer.swarm.pull import Puller
from peer.swarm.service import Reply
from peer.swarm.transport import Contact, Transport, TransportError
from peer.swarm.view import View
from protocol.errors import ProtocolError
from protocol.limits import MAX_PROGRESS
from protocol.messages import AskState, Busy, ObjectRef, Refused, StateIs
from protocol.trainer import State

GUESTS = 4
"""Newcomers served in `LINGER` seconds; more would slow each other and the donor's own exchanges."""

FRESH = 2.0
"""Seconds for which one captured state serves every newcomer: a crowd costs the trainer one capture."""

LINGER = 60.0
"""Seconds without a read or a promise after which a captured state goes."""

MOST_STATES = 2
"""Captured states on disk at once: each is as large as a checkpoint's weights and momentum."""

PATIENCE = 30.0
"""Seconds that a donor's trainer may take to write its state."""

SLOWEST = 50_000
"""Bytes a second below which a newcomer leaves a donor for another: a donor that drips must not hold it."""

HOPELESS = 60.0
"""Seconds without any sign that somebody has a state, after which a newcomer starts from the seed."""


def pull_limit(size: int) -> float:
    """Return the seconds within which a newcomer must have a donor's whole state of `size` bytes."""
    return 60.0 + size / SLOWEST


@dataclass(frozen=True, slots=True)
class StateStatistics:
    """States given away."""

    served: int
    turned_away: int


@dataclass(slots=True)
class _Guest:
    since: float
    promised: StateIs


class Donor:
    """Answers `AskState`: `Busy` to one guest too many, `Refused` while there is no state to give."""

    def __init__(
        self,
        store: ObjectStore,
        learner: Learner,
        nursery: trio.Nursery,
        on_served: Callable[[str, int], None],
    ) -> None:
        self._on_served = on_served
        self._store = store
        self._learner = learner
        self._nursery = nursery
        self._capturing = trio.Lock()
        self._latest: tuple[float, StateIs] | None = None
        self._guests: dict[str, _Guest] = {}
        self._promises: dict[bytes, int] = {}
        """Captured states that we hold, by hash, and how often each was promised."""
        self._served = self._turned_away = 0

    async def serve(self, caller: str, call: AskState) -> Reply:  # noqa: ARG002 - it asks for all or nothing
        """Capture the state, or take one captured a moment ago, and hold it ready to be pulled."""
        async with self._capturing:
            try:
                state = await self._state_for(caller)
            except LearnerGoneError:
                return Refused(reason="our trainer has no state to give (yet)")
        if state is None:
            self._turned_away += 1
            return Busy(seconds=2.0)
        self._promises[state.state.sha256] += 1
        self._served += 1
        self._on_served(caller, state.state.size)
        return state

    async def _state_for(self, caller: str) -> StateIs | None:
        """Return what `caller` may pull, or None where there is no place for it now."""
        left = trio.current_time() - LINGER
        self._guests = {name: guest for name, guest in self._guests.items() if guest.since > left}
        guest = self._guests.get(caller)
        if guest is not None and guest.promised.state.sha256 in self._promises:
            return guest.promised
        if guest is None and len(self._guests) >= GUESTS:
            return None
        state = await self._fresh_state()
        if state is not None:
            # Only now: a capture that failed takes no place.
            self._guests[caller] = _Guest(guest.since if guest else trio.current_time(), state)
        return state

    async def _fresh_state(self) -> StateIs | None:
        if self._latest is not None and self._latest[0] > trio.current_time() - FRESH:
            return self._latest[1]
        if len(self._promises) >= MOST_STATES:
            return None
        captured = await self._learner.capture()
        ref = ObjectRef(sha256=captured.sha256, size=captured.size)
        self._store.add(ref, captured.state.file)
        state = StateIs(
            state=ref,
            inner_step=captured.state.inner_step,
            outer_step=captured.state.outer_step,
            tokens=captured.state.tokens,
        )
        self._latest = (trio.current_time(), state)
        if ref.sha256 not in self._promises:
            # Else the same bytes again: whoever waits for the end of the first sees this promise too.
            self._promises[ref.sha256] = 0
            self._nursery.start_soon(self._retire_in_time, ref)
        return state

    async def _retire_in_time(self, ref: ObjectRef) -> None:
        # The limit is for a hostile peer, which could read a byte now and then for ever.
        with trio.move_on_after(FRESH + LINGER + pull_limit(ref.size)):
            await self._unused(ref.sha256)
        del self._promises[ref.sha256]
        self._store.retire(ref.sha256)

    async def _unused(self, sha256: bytes) -> None:
        used = -1
        while used != (now := self._store.reads(sha256) + self._promises[sha256]):
            used = now
            await trio.sleep(LINGER)

    def statistics(self) -> StateStatistics:
        """Counters since the start."""
        return StateStatistics(self._served, self._turned_away)


class Newcomer:
    """Asks the peers in view for their state until one gives it whole."""

    def __init__(
        self,
        transport: Transport,
        run_id: bytes,
        view: View,
        store: ObjectStore,
        puller: Puller,
        *,
        expected_size: int,
    ) -> None:
        self._transport = transport
        self._run_id = run_id
        self._view = view
        self._store = store
        self._puller = puller
        self._expected_size = expected_size

    async def fetch(self) -> tuple[str, State] | None:
        """Return a donor and its state, or None where nobody has one to give: the run starts with us.

        That is so after `HOPELESS` seconds in which nobody was in view, or everybody in view has said that
        it has no state. A donor that is busy, fails or lies is no reason to begin again from the seed:
        it is asked again, ever more seldom, for ever.

        Raises:
            HomeError: the state cannot be written to disk.
        """
        without: set[str] = set()
        hopeless_since = trio.current_time()
        while not self._hopeless(without, hopeless_since):
            donor = self._view.draw()
            if donor is None:
                with trio.move_on_after(1.0):
                    await self._view.wait_change()
                continue
            found = await self._try(donor)
            if isinstance(found, State):
                return donor.peer_id, found
            if isinstance(found, Refused):
                without.add(donor.peer_id)
            else:
                without.discard(donor.peer_id)
                hopeless_since = trio.current_time()
        return None

    def _hopeless(self, without: set[str], since: float) -> bool:
        live = {contact.peer_id for contact in self._view.live()}
        return live <= without and trio.current_time() - since >= HOPELESS

    async def _try(self, donor: Contact) -> State | Refused | None:
        """Return the donor's state, or that it has none; else None, and it is left alone for a while."""
        try:
            found = await self._fetch_from(donor)
        except (TransportError, ProtocolError, RefusedError):
            self._view.missed(donor.peer_id)
            self._view.exchanged(donor.peer_id, well=False)
            return None
        if isinstance(found, Busy):
            self._view.busy(donor.peer_id, min(found.seconds, 5.0))
            return None
        if isinstance(found, Refused):
            self._view.busy(donor.peer_id, 5.0)
        return found

    async def _fetch_from(self, donor: Contact) -> State | Busy | Refused:
        limit = pull_limit(self._expected_size)
        with trio.move_on_after(PATIENCE + limit):
            try:
                answer = await ask(
                    self._transport, donor, self._run_id, AskState(), StateIs, Busy, patience=PATIENCE
                )
            except RefusedError as error:
                if error.refusal.other_run:
                    raise
                return error.refusal
            return answer if isinstance(answer, Busy) else await self._receive(donor, self._checked(answer))
        raise TransportError(f"{donor.peer_id} did not give its state in {limit:g} s")

    def _checked(self, answer: object) -> StateIs:
        if not isinstance(answer, StateIs) or answer.state.size != self._expected_size:
            raise ProtocolError("the donor's state does not have the size of this run's model")
        if max(answer.inner_step, answer.outer_step, answer.tokens) > MAX_PROGRESS:
            raise ProtocolError("the donor claims more progress than can be")
        return answer

    async def _receive(self, donor: Contact, answer: StateIs) -> State:
        try:
            with self._store.receive(answer.state) as incoming:
                await self._puller.pull(donor, answer.state, incoming)
                incoming.check()
                return State(
                    file=incoming.keep(),
                    inner_step=answer.inner_step,
                    outer_step=answer.outer_step,
                    tokens=answer.tokens,
                )
        except OSError as error:
            raise HomeError(
                f"Cannot write a donor's state of {answer.state.size} bytes to {self._store.folder}: "
                f"{error.strerror or error}",
                "Free some space on that disk, and start again",
            ) from error
