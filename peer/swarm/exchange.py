"""One exchange: both pull, both confirm, both mix; or neither does."""

from collections import Counter
from dataclasses import dataclass
from typing import Protocol

import trio

from peer.swarm.calls import RefusedError, conversation
from peer.swarm.deadline import AdaptiveDeadline
from peer.swarm.learner import Learner, LearnerGoneError
from peer.swarm.objects import Incoming, ObjectStore
from peer.swarm.pairing import Engagement
from peer.swarm.pull import PieceServer, pull
from peer.swarm.transport import Contact, Transport, TransportError
from protocol.errors import ProtocolError
from protocol.messages import Confirm, Confirmed, Noted, Settle
from protocol.trainer import Mixed


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an exchange ended."""

    partner: str
    initiated: bool
    outer_step: int
    result: str
    """`done`, `refused` (by the trainer's check), `failed`, or `void` where the fault was our own."""
    reason: str
    seconds: float
    bytes_in: int
    bytes_out: int
    mixed: Mixed | None


class Observer(Protocol):
    """Is told of each exchange that ended."""

    def __call__(self, outcome: Outcome) -> None:
        """Take note."""


@dataclass(frozen=True, slots=True)
class ExchangeStatistics:
    """Exchanges since the start."""

    done: int
    failed: int
    refused: int
    bytes_in: int
    deadline: float


class _FailedError(Exception):
    """Ends the exchange, with the reason."""


@dataclass(slots=True)
class _Attempt:
    """What an exchange has come to so far."""

    result: str = "failed"
    reason: str = ""
    received: int = 0
    mixed: Mixed | None = None


SILENCE = 15.0
"""Seconds without a pull of our share after which a partner that has not confirmed is given up. A piece
takes so long at 35 kB/s."""


class Exchanger:
    """Runs engagements over the network and hands what came to the learner."""

    def __init__(
        self,
        transport: Transport,
        run_id: bytes,
        store: ObjectStore,
        pieces: PieceServer,
        learner: Learner,
        observer: Observer,
    ) -> None:
        self._transport = transport
        self._run_id = run_id
        self._store = store
        self._pieces = pieces
        self._learner = learner
        self._observer = observer
        # Before the first exchange nothing is known of the links: 30 s carry 10 MB at 3 Mbit/s.
        self._deadline = AdaptiveDeadline(first=30.0, floor=10.0, ceiling=1800.0)
        self._results: Counter[str] = Counter()
        self._bytes_in = 0

    async def run(self, engagement: Engagement, contact: Contact) -> Outcome:
        """Bring one engagement to its end. Never raises but for cancellation."""
        began = trio.current_time()
        attempt = _Attempt()
        try:
            await self._attempt(engagement, contact, attempt)
        except (_FailedError, TransportError, ProtocolError, RefusedError) as error:
            attempt.reason = str(error)
        except LearnerGoneError:
            attempt.result, attempt.reason = "void", "our trainer died"
        except OSError as error:
            attempt.result, attempt.reason = "void", f"our disk: {error.strerror}"
        finally:
            engagement.pulled.set()
        return self._note(engagement, attempt, trio.current_time() - began)

    async def _attempt(self, engagement: Engagement, contact: Contact, attempt: "_Attempt") -> None:
        began, allowed = trio.current_time(), self._deadline.seconds
        in_use = self._store.in_use(engagement.mine.ref.sha256)
        with in_use, self._store.receive(engagement.theirs) as incoming:
            engagement.scope.deadline = began + allowed
            try:
                with engagement.scope:
                    await self._transfer(engagement, contact, incoming)
            finally:
                attempt.received = incoming.received
            if engagement.scope.cancelled_caught:
                raise self._cut_off(engagement, incoming, allowed)
            # Not under the deadline: both sides have agreed to mix, and the trainer takes its time.
            mixed = attempt.mixed = await self._learner.mix(
                engagement.mine.share, incoming.keep(), engagement.their_codec
            )
            if mixed.accepted:
                attempt.result = "done"
                self._deadline.observe(trio.current_time() - began)
            else:
                attempt.result = "void" if mixed.ours else "refused"
                attempt.reason = mixed.reason

    def _cut_off(self, engagement: Engagement, incoming: Incoming, allowed: float) -> "_FailedError":
        if trio.current_time() < engagement.scope.deadline:
            return _FailedError("the partner gave up")
        # Only a transfer that was still moving, in either direction, says that the deadline may be too short.
        if incoming.missing or self._pieces.recently_pulled(engagement.partner, SILENCE):
            self._deadline.overran()
        return _FailedError(f"not done after {allowed:.1f} s")

    async def _transfer(self, engagement: Engagement, contact: Contact, incoming: Incoming) -> None:
        await pull(self._transport, contact, self._run_id, engagement.theirs, incoming)
        incoming.check()
        engagement.holds = True
        engagement.pulled.set()
        with self._pieces.ends_in_silence(engagement.partner, SILENCE):
            if engagement.initiated:
                await self._agree(engagement, contact)
            else:
                await engagement.settled.wait()

    async def _agree(self, engagement: Engagement, contact: Contact) -> None:
        """Ask whether the partner holds everything too, and if so settle it.

        One that has given up meanwhile gets no `Settle`, so that it does not mix alone.
        """
        confirm = Confirm(exchange=engagement.exchange)
        async with conversation(self._transport, contact, self._run_id) as talk:
            answer = await talk.ask(confirm, Confirmed, patience=self._deadline.seconds)
            if not answer.both:
                raise _FailedError("the partner could not get our share")
            await talk.ask(Settle(exchange=engagement.exchange), Noted)

    def _note(self, engagement: Engagement, attempt: "_Attempt", seconds: float) -> Outcome:
        self._results[attempt.result] += 1
        self._bytes_in += attempt.received
        outcome = Outcome(
            partner=engagement.partner,
            initiated=engagement.initiated,
            outer_step=engagement.mine.outer_step,
            result=attempt.result,
            reason=attempt.reason,
            seconds=seconds,
            bytes_in=attempt.received,
            bytes_out=engagement.mine.ref.size if engagement.holds else 0,
            mixed=attempt.mixed,
        )
        self._observer(outcome)
        return outcome

    def statistics(self) -> ExchangeStatistics:
        """Counters since the start, and the deadline in force."""
        counts = self._results
        return ExchangeStatistics(
            counts["done"],
            counts["failed"] + counts["void"],
            counts["refused"],
            self._bytes_in,
            self._deadline.seconds,
        )
