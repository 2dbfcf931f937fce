"""One exchange: both receive, both confirm, both mix; or neither does."""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Protocol

import trio

from peer.swarm.calls import Conversation, RefusedError
from peer.swarm.deadline import AdaptiveDeadline
from peer.swarm.engagement import EndedError, Engagement
from peer.swarm.fetcher import Fetcher
from peer.swarm.learner import Learner, LearnerGoneError
from peer.swarm.pieces import PieceServer
from peer.swarm.reader import Arrived, Reader, ReadingStatistics
from peer.swarm.together import together
from peer.swarm.transport import Contact, TransportError
from peer.swarm.writer import Writer, WritingStatistics
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
    fragment: int = 0
    choice: str = ""
    """Why our share was written in the codec that it was; empty where it was not written for this partner."""
    members: tuple[str, ...] = ()
    """PeerIDs of a group of more than two, our own among them."""


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
    largest: int = 0
    """Bytes of the largest exchange, both ways together: with one at a time, the most that was in flight."""
    writing: WritingStatistics = field(default_factory=WritingStatistics)
    reading: ReadingStatistics = field(default_factory=ReadingStatistics)


@dataclass(slots=True)
class _Attempt:
    """What an exchange has come to so far."""

    result: str = "failed"
    reason: str = ""
    mixed: Mixed | None = None


SILENCE = 15.0
"""Seconds without a pull of our share after which a partner that has not confirmed is given up. A piece
takes so long at 35 kB/s."""

SETTLING = 15.0
"""Seconds for which the initiator tries to say that both hold everything: a line that is gone for a moment
must not make one side mix alone."""

SETTLE_PAUSE = 1.0

TURNS = 3
"""Times that a trainer is waited for: one's partner writes, one opens, and so does the partner."""


class Exchanger:
    """Runs engagements over the network and hands what came to the learner."""

    def __init__(
        self,
        fetcher: Fetcher,
        pieces: PieceServer,
        learner: Learner,
        reader: Reader,
        writer: Writer,
        thinking: AdaptiveDeadline,
        observer: Observer,
    ) -> None:
        self._fetcher = fetcher
        self._pieces = pieces
        self._learner = learner
        self._reader = reader
        self._writer = writer
        self._thinking = thinking
        self._observer = observer
        # Before the first exchange nothing is known of the links: 30 s carry 10 MB at 3 Mbit/s.
        self._deadline = AdaptiveDeadline(first=30.0, floor=10.0, ceiling=1800.0)
        self._results: Counter[str] = Counter()
        self._bytes_in = self._largest = 0

    async def run(self, engagement: Engagement, contact: Contact) -> Outcome:
        """Bring one engagement to its end. Never raises but for cancellation."""
        began = trio.current_time()
        attempt = _Attempt()
        try:
            with self._served(engagement):
                await self._attempt(engagement, contact, attempt)
        except EndedError as error:
            attempt.result, attempt.reason = error.result, error.reason
        except (TransportError, ProtocolError, RefusedError) as error:
            attempt.reason = str(error)
        except LearnerGoneError:
            attempt.result, attempt.reason = "void", "our trainer has ended"
        except OSError as error:
            attempt.result, attempt.reason = "void", f"our disk: {error.strerror}"
        return self._note(engagement, attempt, trio.current_time() - began)

    @contextmanager
    def _served(self, engagement: Engagement) -> Iterator[None]:
        """Keep what the partner pulls while the exchange lasts, and leave nobody waiting for its end."""
        store, mine = self._fetcher.store, engagement.mine
        try:
            with ExitStack() as stack:
                for ref in (mine.ref, mine.bounds):
                    if ref is not None:
                        stack.enter_context(store.in_use(ref.sha256))
                yield
        finally:
            engagement.over = True
            engagement.received.set()
            engagement.written.set()
            for ref in engagement.objects:
                store.retire(ref.sha256)

    async def _attempt(self, engagement: Engagement, contact: Contact, attempt: _Attempt) -> None:
        began, allowed = trio.current_time(), self._allowed(engagement)
        arrived: Arrived | None = None
        engagement.scope.deadline = began + allowed
        with engagement.scope:
            arrived = await self._receive(engagement, contact)
            try:
                await self._agree(engagement, contact)
            finally:
                if not engagement.agreed and arrived.file is not None:
                    (self._fetcher.store.folder / arrived.file).unlink(missing_ok=True)
        if arrived is None or not engagement.agreed:
            raise self._cut_off(engagement, allowed)
        # Not under the deadline: both sides have agreed to mix, and the trainer takes its time.
        mixed = attempt.mixed = await self._learner.mix(
            engagement.mine.share,
            arrived.file,
            arrived.codec,
            engagement.theirs.tokens,
            engagement.theirs.standing,
        )
        if mixed.accepted:
            attempt.result = "done"
            self._deadline.observe(trio.current_time() - began)
        else:
            attempt.result, attempt.reason = "void" if mixed.ours else "refused", mixed.reason

    def _allowed(self, engagement: Engagement) -> float:
        turns = TURNS if engagement.two_phase else 0
        return self._deadline.seconds + turns * self._thinking.seconds

    def _cut_off(self, engagement: Engagement, allowed: float) -> EndedError:
        if engagement.fault is not None:
            return engagement.fault
        # Only a transfer that was still moving, in either direction, says that the deadline may be too short.
        if not engagement.holds or self._pieces.recently_pulled(engagement.partner, SILENCE):
            self._deadline.overran()
        return EndedError("failed", f"not done after {allowed:.1f} s")

    async def _receive(self, engagement: Engagement, contact: Contact) -> Arrived:
        """Hold the partner's share, and have written ours where it is written for the partner."""
        arrived: list[Arrived] = []

        async def read() -> None:
            arrived.append(await self._reader.read(engagement, contact))

        async def write() -> None:
            if engagement.mine.ref is None:
                await self._writer.write(engagement, contact)

        await together(read, write)
        # The partner may mix as soon as it knows: then we must, too, also some outer steps later.
        await self._learner.keep(engagement.mine.share)
        engagement.holds = True
        engagement.received.set()
        return arrived[0]

    async def _agree(self, engagement: Engagement, contact: Contact) -> None:
        """Have both sides say that they hold everything; then `agreed` is set.

        A partner that has given up meanwhile gets no `Settle`, so that it does not mix alone.
        """
        silence = SILENCE + (self._thinking.seconds if engagement.two_phase else 0.0)
        if not engagement.initiated:
            with self._pieces.ends_in_silence(engagement.partner, silence):
                await engagement.settled.wait()
            return
        async with self._fetcher.talk(contact) as talk:
            with self._pieces.ends_in_silence(engagement.partner, silence):
                confirm = Confirm(exchange=engagement.exchange)
                answer = await talk.ask(confirm, Confirmed, patience=self._allowed(engagement))
            if not answer.both:
                raise EndedError("failed", "the partner could not get our share")
            heard = await self._settle(engagement, talk)
        if not heard:
            await self._settle_again(engagement, contact)

    async def _settle(self, engagement: Engagement, talk: Conversation) -> bool:
        """Say `Settle` once; return whether it was heard. From now on the partner may mix: no giving up."""
        if engagement.scope.cancel_called:  # in this very instant: nothing has been said yet
            await trio.lowlevel.checkpoint()
        engagement.agree()
        try:
            await talk.ask(Settle(exchange=engagement.exchange), Noted)
        except RefusedError:
            engagement.agreed = False
            raise
        except (TransportError, ProtocolError):
            return False
        return True

    async def _settle_again(self, engagement: Engagement, contact: Contact) -> None:
        """Say `Settle` until it is heard. The partner may have heard the first, and then it mixes."""
        heard = False
        with trio.move_on_after(SETTLING):
            while not heard:
                await trio.sleep(SETTLE_PAUSE)
                with suppress(TransportError):
                    async with self._fetcher.talk(contact) as talk:
                        heard = await self._settle(engagement, talk)
        if not heard:
            engagement.agreed = False
            raise EndedError("failed", "the partner was lost while it was told to mix")

    def _note(self, engagement: Engagement, attempt: _Attempt, seconds: float) -> Outcome:
        bytes_out = engagement.bytes_out if engagement.holds else 0
        self._results[attempt.result] += 1
        self._bytes_in += engagement.bytes_in
        self._largest = max(self._largest, engagement.bytes_in + engagement.bytes_out)
        outcome = Outcome(
            partner=engagement.partner,
            initiated=engagement.initiated,
            outer_step=engagement.mine.outer_step,
            result=attempt.result,
            reason=attempt.reason,
            seconds=seconds,
            bytes_in=engagement.bytes_in,
            bytes_out=bytes_out,
            mixed=attempt.mixed,
            fragment=engagement.mine.fragment,
            choice=engagement.choice,
        )
        self._observer(outcome)
        return outcome

    def statistics(self) -> ExchangeStatistics:
        """Counters since the start, and the deadline in force."""
        counts = self._results
        return ExchangeStatistics(
            done=counts["done"],
            failed=counts["failed"] + counts["void"],
            refused=counts["refused"],
            bytes_in=self._bytes_in,
            deadline=self._deadline.seconds,
            largest=self._largest,
            writing=self._writer.statistics(),
            reading=self._reader.statistics(),
        )
