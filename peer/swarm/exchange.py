"""One exchange: both pull, both confirm, both mix; or neither does."""

from collections import Counter
from dataclasses import dataclass
from typing import Protocol

import trio

from peer.swarm.calls import RefusedError, ask
from peer.swarm.deadline import AdaptiveDeadline
from peer.swarm.learner import Learner, LearnerGoneError
from peer.swarm.objects import Incoming, ObjectStore
from peer.swarm.pairing import Engagement
from peer.swarm.pull import PieceServer, pull
from peer.swarm.transport import Contact, Transport, TransportError
from protocol.errors import ProtocolError
from protocol.messages import Confirm, Confirmed
from protocol.trainer import Mixed


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an exchange ended."""

    partner: str
    initiated: bool
    outer_step: int
    result: str
    """`done`, `refused` (by the trainer's check), or `failed`."""
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


SILENCE = 15.0
"""Seconds without a pull of our share after which a partner that has not confirmed is given up. A piece of
1 MiB takes so long at 70 kB/s."""


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
        self._deadline = AdaptiveDeadline(first=30.0, floor=5.0, ceiling=1800.0)
        self._results: Counter[str] = Counter()
        self._bytes_in = 0

    async def run(self, engagement: Engagement, contact: Contact) -> Outcome:
        """Bring one engagement to its end. Never raises but for cancellation."""
        began, allowed = trio.current_time(), self._deadline.seconds
        result, reason, mixed = "failed", "", None
        received = 0
        in_use = self._store.in_use(engagement.mine.ref.sha256)
        with in_use, self._store.receive(engagement.theirs) as incoming:
            try:
                with trio.fail_after(allowed):
                    await self._transfer(engagement, contact, incoming)
                # Not under the deadline: both sides have agreed to mix, and the trainer takes its time.
                mixed = await self._learner.mix(
                    engagement.mine.share, incoming.keep(), engagement.their_codec
                )
                result, reason = ("done", "") if mixed.accepted else ("refused", mixed.reason)
                self._deadline.observe(trio.current_time() - began)
            except trio.TooSlowError:
                # Only a transfer that was still moving says that the deadline may be too short.
                if incoming.missing:
                    self._deadline.overran()
                reason = f"not done after {allowed:.1f} s"
            except (_FailedError, TransportError, ProtocolError, RefusedError) as error:
                reason = str(error)
            except LearnerGoneError:
                reason = "our trainer died"
            finally:
                engagement.pulled.set()
                received = incoming.received
        return self._note(engagement, result, reason, trio.current_time() - began, received, mixed)

    async def _transfer(self, engagement: Engagement, contact: Contact, incoming: Incoming) -> None:
        await pull(self._transport, contact, self._run_id, engagement.theirs, incoming)
        incoming.check()
        engagement.holds = True
        engagement.pulled.set()
        with self._pieces.ends_in_silence(engagement.partner, SILENCE):
            if engagement.initiated:
                await self._confirm(engagement, contact)
            else:
                await engagement.confirmed.wait()

    async def _confirm(self, engagement: Engagement, contact: Contact) -> None:
        confirm = Confirm(exchange=engagement.exchange)
        patience = self._deadline.seconds
        answer = await ask(self._transport, contact, self._run_id, confirm, Confirmed, patience=patience)
        if not answer.both:
            raise _FailedError("the partner could not get our share")

    def _note(
        self,
        engagement: Engagement,
        result: str,
        reason: str,
        seconds: float,
        received: int,
        mixed: Mixed | None,
    ) -> Outcome:
        self._results[result] += 1
        self._bytes_in += received
        outcome = Outcome(
            partner=engagement.partner,
            initiated=engagement.initiated,
            outer_step=engagement.mine.outer_step,
            result=result,
            reason=reason,
            seconds=seconds,
            bytes_in=received,
            bytes_out=engagement.mine.ref.size if engagement.holds else 0,
            mixed=mixed,
        )
        self._observer(outcome)
        return outcome

    def statistics(self) -> ExchangeStatistics:
        """Counters since the start, and the deadline in force."""
        counts = self._results
        return ExchangeStatistics(
            counts["done"], counts["failed"], counts["refused"], self._bytes_in, self._deadline.seconds
        )
