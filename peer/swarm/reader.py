"""The receiving half of an exchange: the partner's share comes, and is opened where it was written for us."""

from dataclasses import dataclass

import trio

from peer.swarm.calls import NO_PROGRESS, Conversation
from peer.swarm.deadline import AdaptiveDeadline
from peer.swarm.engagement import EndedError, Engagement
from peer.swarm.fetcher import Fetcher
from peer.swarm.learner import Learner
from peer.swarm.share_sizes import ShareSizes
from peer.swarm.transport import Contact, TransportError
from protocol.errors import ProtocolError
from protocol.messages import AskAgain, AskBody, BodyIs, ObjectRef
from protocol.trainer import Blob, Opened

SLOWEST = 35_000
"""Bytes a second at which a partner may pull what it needs before it writes."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """A partner's share, whole.

    Attributes:
        file: where it lies; None where the learner has opened it already.
        codec: in which it was written.
    """

    file: str | None
    codec: str


@dataclass(frozen=True, slots=True)
class ReadingStatistics:
    """Shares that were written for us.

    Attributes:
        opened: how many.
        codec: of the last one; empty before the first.
        seconds: that the last one took the trainer.
        blocks: that came.
        failed_blocks: of them, those that did not decode at first.
        resends: how often we asked for such blocks again.
    """

    opened: int = 0
    codec: str = ""
    seconds: float = 0.0
    blocks: int = 0
    failed_blocks: int = 0
    resends: int = 0


class Reader:
    """Gets the partner's share in one phase (pull) or in two (ask for what is written for us, pull, open)."""

    def __init__(
        self,
        fetcher: Fetcher,
        learner: Learner,
        sizes: ShareSizes,
        thinking: AdaptiveDeadline,
        *,
        decodes: tuple[str, ...],
    ) -> None:
        self._fetcher = fetcher
        self._learner = learner
        self._sizes = sizes
        self._thinking = thinking
        self._decodes = decodes
        self._opened = self._blocks = self._failed = self._resends = 0
        self._codec, self._seconds = "", 0.0

    async def read(self, engagement: Engagement, contact: Contact) -> Arrived:
        """Return the partner's share, once all of it is good as far as can be told before it is mixed.

        Raises:
            EndedError: it is of no use.
            LearnerGoneError: our trainer died.
            TransportError, ProtocolError, RefusedError: it cannot be had.
        """
        whole = engagement.theirs.share
        async with self._fetcher.talk(contact) as talk:
            if whole is not None:
                file = await self._fetcher.fetch(engagement, talk, whole)
                return Arrived(file, engagement.theirs.codec)
            body = await self._ask_body(engagement, talk)
            file = await self._fetcher.fetch(engagement, talk, body.share)
        opened = await self._open(engagement, file, body.codec)
        if opened.failed is not None and not opened.reason:
            opened = await self._again(engagement, contact, opened, opened.failed)
            if opened.failed is not None and not opened.reason:
                raise EndedError("failed", f"{opened.failed_blocks} blocks failed twice")
        if opened.reason:
            raise EndedError("void" if opened.ours else "refused", opened.reason)
        return Arrived(None, body.codec)

    async def _ask_body(self, engagement: Engagement, talk: Conversation) -> BodyIs:
        body = await self._ask(talk, AskBody(exchange=engagement.exchange), engagement.mine.bounds)
        if body.codec not in self._decodes or (body.codec == "modulo" and engagement.mine.bounds is None):
            raise ProtocolError(f"a share in {body.codec} is of no use here")
        self._check(body.share, self._sizes.body(engagement.mine.fragment, body.codec))
        return body

    async def _open(self, engagement: Engagement, file: str, codec: str) -> Opened:
        began = trio.current_time()
        opened = await self._learner.open(engagement.mine.share, file, codec)
        self._seconds, self._codec = trio.current_time() - began, codec
        self._thinking.observe(self._seconds)
        self._opened += 1
        self._blocks += opened.blocks
        self._failed += opened.failed_blocks
        return opened

    async def _ask(self, talk: Conversation, call: AskBody | AskAgain, needed: ObjectRef | None) -> BodyIs:
        """Have the partner write something, for which it needs an object of ours."""
        patience = self._thinking.seconds + NO_PROGRESS + (needed.size / SLOWEST if needed else 0.0)
        try:
            return await talk.ask(call, BodyIs, patience=patience)
        except TransportError:
            self._thinking.overran()
            raise

    async def _again(self, engagement: Engagement, contact: Contact, opened: Opened, failed: Blob) -> Opened:
        listed = ObjectRef(sha256=failed.sha256, size=failed.size)
        self._fetcher.store.add(listed, failed.file)
        engagement.objects.append(listed)
        self._resends += 1
        async with self._fetcher.talk(contact) as talk:
            call = AskAgain(exchange=engagement.exchange, failed=listed)
            again = await self._ask(talk, call, listed)
            self._check(again.share, self._sizes.again(engagement.mine.fragment, opened.failed_blocks))
            file = await self._fetcher.fetch(engagement, talk, again.share)
        return await self._learner.open_again(engagement.mine.share, file)

    @staticmethod
    def _check(ref: ObjectRef, largest: int) -> None:
        if ref.size > largest:
            raise ProtocolError(f"what came has {ref.size} bytes, at most {largest} make sense here")

    def statistics(self) -> ReadingStatistics:
        """Counters since the start."""
        return ReadingStatistics(
            self._opened, self._codec, self._seconds, self._blocks, self._failed, self._resends
        )
