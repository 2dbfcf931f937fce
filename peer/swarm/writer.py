"""The sending half of an exchange in which a share is written for its receiver."""

from dataclasses import dataclass

import trio

from peer.swarm.calls import RefusedError
from peer.swarm.chooser import Chooser
from peer.swarm.deadline import AdaptiveDeadline
from peer.swarm.engagement import EndedError, Engagement
from peer.swarm.fetcher import Fetcher
from peer.swarm.learner import Learner, LearnerGoneError
from peer.swarm.service import Reply
from peer.swarm.share_sizes import ShareSizes
from peer.swarm.transport import Contact
from protocol.messages import AskAgain, BodyIs, ObjectRef, Refused
from protocol.trainer import Encoded


@dataclass(frozen=True, slots=True)
class WritingStatistics:
    """Shares written for one receiver each.

    Attributes:
        written: how many.
        codec: of the last one; empty before the first.
        bits: of a value of the last one; 0 where the codec has its own.
        reason: why that codec.
        seconds: that the last one took the trainer.
        resends: how often blocks were written again.
    """

    written: int = 0
    codec: str = ""
    bits: int = 0
    reason: str = ""
    seconds: float = 0.0
    resends: int = 0


class Writer:
    """Lets the learner write our share, once an exchange, and the blocks that failed, once more."""

    def __init__(
        self,
        fetcher: Fetcher,
        learner: Learner,
        sizes: ShareSizes,
        chooser: Chooser,
        thinking: AdaptiveDeadline,
    ) -> None:
        self._fetcher = fetcher
        self._learner = learner
        self._sizes = sizes
        self._chooser = chooser
        self._thinking = thinking
        self._written = self._resends = 0
        self._last = WritingStatistics()

    async def write(self, engagement: Engagement, contact: Contact) -> None:
        """Write our share for the partner, before it asks: its bounds came with its offer.

        Raises:
            EndedError: our share is no longer kept, or no codec suits both.
            LearnerGoneError: our trainer died.
            TransportError, ProtocolError, RefusedError: the partner's bounds cannot be had.
        """
        try:
            bounds = await self._fetch_bounds(engagement, contact)
            choice = self._chooser.pick(engagement)
            began = trio.current_time()
            encoded = await self._learner.encode(engagement.mine.share, choice.codec, choice.bits, bounds)
            seconds = trio.current_time() - began
            self._thinking.observe(seconds)
            engagement.body = self._offer(engagement, encoded, choice.codec)
            engagement.choice = choice.reason
            self._written += 1
            self._last = WritingStatistics(0, choice.codec, choice.bits, choice.reason, seconds)
        finally:
            engagement.written.set()

    async def _fetch_bounds(self, engagement: Engagement, contact: Contact) -> str | None:
        bounds = engagement.theirs.bounds
        if bounds is None:
            return None
        async with self._fetcher.talk(contact) as talk:
            return await self._fetcher.fetch(engagement, talk, bounds)

    def _offer(self, engagement: Engagement, encoded: Encoded, codec: str) -> BodyIs:
        """Let the partner pull what was written, until the exchange is over."""
        if encoded.body is None:
            raise EndedError("void" if encoded.ours else "refused", encoded.reason)
        ref = ObjectRef(sha256=encoded.body.sha256, size=encoded.body.size)
        self._fetcher.store.add(ref, encoded.body.file)
        if engagement.over:
            self._fetcher.store.retire(ref.sha256)
        else:
            engagement.objects.append(ref)
        return BodyIs(share=ref, codec=codec)

    async def serve_body(self, engagement: Engagement) -> Reply:
        """Answer `AskBody`, once our share is written."""
        await engagement.written.wait()
        return engagement.body or Refused(reason="I could not write my share")

    async def serve_again(self, engagement: Engagement, contact: Contact, call: AskAgain) -> Reply:
        """Answer `AskAgain`, once an exchange.

        Raises:
            TransportError, ProtocolError: the list of failed blocks cannot be had.
        """
        if engagement.body is None or engagement.asked_again:
            return Refused(reason="blocks are written again once, after the share itself")
        largest = self._sizes.failed(engagement.mine.fragment)
        if call.failed.size > largest:
            return Refused(reason=f"your list has {call.failed.size} bytes, at most {largest} make sense")
        engagement.asked_again = True
        try:
            async with self._fetcher.talk(contact) as talk:
                failed = await self._fetcher.fetch(engagement, talk, call.failed)
            if engagement.over:
                # The share may be written for another partner by now, which must not get exact blocks in it.
                (self._fetcher.store.folder / failed).unlink(missing_ok=True)
                return Refused(reason="the exchange is over")
            encoded = await self._learner.encode_again(engagement.mine.share, failed)
            self._resends += 1
            return self._offer(engagement, encoded, engagement.body.codec)
        except RefusedError:
            return Refused(reason="you refused the list that you asked by")
        except (EndedError, LearnerGoneError, OSError):
            return Refused(reason="I could not write the blocks again")

    def statistics(self) -> WritingStatistics:
        """Counters since the start, and the last choice."""
        last = self._last
        return WritingStatistics(
            self._written, last.codec, last.bits, last.reason, last.seconds, self._resends
        )
