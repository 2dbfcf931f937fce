"""A newcomer gets slow weights, momentum and progress from a donor before its first step."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import trio

from peer.swarm.calls import RefusedError, ask
from peer.swarm.learner import Learner, LearnerGoneError
from peer.swarm.objects import ObjectStore
from peer.swarm.pull import pull
from peer.swarm.service import Reply
from peer.swarm.transport import Contact, Transport, TransportError
from peer.swarm.view import View
from protocol.errors import ProtocolError
from protocol.messages import AskState, Busy, ObjectRef, StateIs
from protocol.trainer import State

GUESTS = 4
"""Newcomers served in `LINGER` seconds; more would slow each other and the donor's own exchanges."""

FRESH = 2.0
"""Seconds for which one captured state serves every newcomer: a crowd costs the trainer one capture."""

LINGER = 60.0
"""Seconds that a captured state stays to be pulled."""

PATIENCE = 30.0
"""Seconds that a donor's trainer may take to write its state."""

ATTEMPTS = 20


@dataclass(frozen=True, slots=True)
class StateStatistics:
    """States given away."""

    served: int
    turned_away: int


class Donor:
    """Answers `AskState`."""

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
        self._guests: deque[float] = deque()
        self._served = self._turned_away = 0

    async def serve(self, caller: str, call: AskState) -> Reply:  # noqa: ARG002 - it asks for all or nothing
        """Capture the state, or take one captured a moment ago, and hold it ready to be pulled."""
        now = trio.current_time()
        while self._guests and self._guests[0] < now - LINGER:
            self._guests.popleft()
        if len(self._guests) >= GUESTS:
            self._turned_away += 1
            return Busy(seconds=2.0)
        self._guests.append(now)
        try:
            async with self._capturing:
                state = await self._fresh_state()
        except LearnerGoneError:
            return Busy(seconds=5.0)
        self._served += 1
        self._on_served(caller, state.state.size)
        return state

    async def _fresh_state(self) -> StateIs:
        if self._latest is not None and self._latest[0] > trio.current_time() - FRESH:
            return self._latest[1]
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
        self._nursery.start_soon(self._retire_later, ref)
        return state

    async def _retire_later(self, ref: ObjectRef) -> None:
        await trio.sleep(FRESH + LINGER)
        self._store.retire(ref.sha256)

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
        *,
        expected_size: int,
    ) -> None:
        self._transport = transport
        self._run_id = run_id
        self._view = view
        self._store = store
        self._expected_size = expected_size

    async def fetch(self) -> tuple[str, State] | None:
        """Return a donor and its state, or None where nobody gave one after `ATTEMPTS` draws."""
        for _ in range(ATTEMPTS):
            donor = self._view.draw()
            if donor is None:
                with trio.move_on_after(1.0):
                    await self._view.wait_change()
                continue
            try:
                state = await self._fetch_from(donor)
            except (TransportError, ProtocolError):
                self._view.missed(donor.peer_id)
                continue
            except RefusedError:
                self._view.busy(donor.peer_id, 5.0)
                continue
            if state is not None:
                return donor.peer_id, state
        return None

    async def _fetch_from(self, donor: Contact) -> State | None:
        answer = await ask(self._transport, donor, self._run_id, AskState(), StateIs, Busy, patience=PATIENCE)
        if isinstance(answer, Busy):
            self._view.busy(donor.peer_id, min(answer.seconds, 5.0))
            return None
        if not isinstance(answer, StateIs) or answer.state.size != self._expected_size:
            raise ProtocolError("the donor's state does not have the size of this run's model")
        with self._store.receive(answer.state) as incoming:
            await pull(self._transport, donor, self._run_id, answer.state, incoming)
            incoming.check()
            return State(
                file=incoming.keep(),
                inner_step=answer.inner_step,
                outer_step=answer.outer_step,
                tokens=answer.tokens,
            )
