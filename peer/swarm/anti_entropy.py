"""Anti-entropy: every second or so we and one random peer give each other the votes that the other lacks."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain

import trio

from peer.swarm.calls import Conversation, RefusedError, conversation
from peer.swarm.ledger import Ledger, Merge
from peer.swarm.news import batches
from peer.swarm.service import Reply, Service
from peer.swarm.transport import Contact, Transport, TransportError
from peer.swarm.view import View
from protocol.codec import encode
from protocol.errors import ProtocolError
from protocol.ledger_calls import (
    AskTally,
    AskVotes,
    GiveVotes,
    TallyIs,
    VoterTally,
    VotesAre,
    Want,
)
from protocol.messages import Noted
from protocol.pages import News, SignedVotes

PERIOD = 1.0
"""Seconds between two meetings that we seek, on average: news reaches n peers within some log2(n) of them."""

MEETING = 60.0
"""Seconds after which a meeting ends in any case. What came is kept, and the next one goes on from there."""


@dataclass(frozen=True, slots=True)
class AntiEntropyStatistics:
    """Meetings that we sought."""

    equal: int
    """The other held what we held."""
    different: int
    failed: int
    votes_in: int
    """Votes that came as answers to us or were given to us, new or not."""
    news_bytes_in: int
    """Bytes in which they came, with signatures and names."""


class AntiEntropy:
    """Compares our ledger with those of others, and answers others that compare theirs with ours."""

    def __init__(
        self,
        transport: Transport,
        run_id: bytes,
        view: View,
        ledger: Ledger,
        on_equal: Callable[[str], None],
        *,
        rng: random.Random,
    ) -> None:
        self._transport = transport
        self._run_id = run_id
        self._view = view
        self._ledger = ledger
        self._on_equal = on_equal
        self._rng = rng
        self._equal = self._different = self._failed = self._votes_in = self._bytes_in = 0

    def serve(self, service: Service) -> None:
        """Answer the calls of others from now on."""
        service.serve(AskTally, self._serve_tally)
        service.serve(AskVotes, self._serve_votes)
        service.serve(GiveVotes, self._serve_gift)

    async def run(self) -> None:
        """Meet one peer after the other until cancelled."""
        while True:
            await trio.sleep(PERIOD * (0.5 + self._rng.random()))
            if (contact := self._view.draw()) is not None:
                await self.meet(contact)

    async def meet(self, contact: Contact) -> bool:
        """Give each other what the other lacks; return whether there was nothing to give."""
        try:
            with trio.move_on_after(MEETING):
                async with conversation(self._transport, contact, self._run_id) as talk:
                    equal = await self._compare(talk)
                self._equal += equal
                self._different += not equal
                if equal:
                    self._on_equal(contact.peer_id)
                return equal
        except ProtocolError:
            self._view.exchanged(contact.peer_id, well=False)
        except (TransportError, RefusedError):
            self._view.missed(contact.peer_id)
        self._failed += 1
        return False

    async def _compare(self, talk: Conversation) -> bool:
        answer = await talk.ask(AskTally(digest=self._ledger.digest()), TallyIs, Noted)
        if not isinstance(answer, TallyIs):
            return True
        await self._fetch(talk, answer.voters)
        await self._give(talk, answer.voters)
        return False

    # ---- what we lack

    async def _fetch(self, talk: Conversation, theirs: tuple[VoterTally, ...]) -> None:
        ends = {tally.voter: tally.votes for tally in theirs}
        wants = dict(self._wants(theirs))
        while wants:
            asked = tuple(Want(voter=voter, start=start) for voter, start in wants.items())
            answer = await talk.ask(AskVotes(wants=asked), VotesAre)
            if not answer.news:
                return
            settled: set[bytes] = set()
            for news in answer.news:
                if news.voter in settled:
                    continue
                if isinstance(news, SignedVotes) and news.start != wants.get(news.voter):
                    raise ProtocolError("votes that were not asked for")
                merge = await self._take(news)
                start = self._next(news, merge)
                if merge is Merge.APART or start is None:
                    settled.add(news.voter)
                if start is not None and start < ends.get(news.voter, 0):
                    wants[news.voter] = start
                else:
                    wants.pop(news.voter, None)

    def _wants(self, theirs: tuple[VoterTally, ...]) -> Iterator[tuple[bytes, int]]:
        ours = {tally.voter: tally for tally in self._ledger.tallies()}
        for tally in theirs:
            own = ours.get(tally.voter)
            if own == tally or (own is not None and own.guilty) or not self._ledger.counts(tally.voter):
                continue
            held = own.votes if own else 0
            if tally.guilty or (own is not None and tally.votes == held):
                # Two logs of one length that differ: somewhere in them is the proof of their voter's guilt.
                yield tally.voter, 0
            elif tally.votes > held:
                yield tally.voter, held

    def _next(self, news: News, merge: Merge) -> int | None:
        """Return from where to ask on, or None where nothing more is to be had of this voter."""
        if not isinstance(news, SignedVotes) or self._ledger.guilty(news.voter) or merge is Merge.OUTSIDE:
            return None
        if merge is Merge.APART:
            return news.start - news.offset if news.offset else None
        return news.start + len(news.votes)

    # ---- what they lack

    async def _give(self, talk: Conversation, theirs: tuple[VoterTally, ...]) -> None:
        held = {tally.voter: tally for tally in theirs}
        lacking = (
            self._ledger.parts(voter, held[voter].votes if voter in held else 0)
            for voter in self._ledger.voters()
            if voter not in held or not held[voter].guilty
        )
        for news in batches(chain.from_iterable(lacking)):
            await talk.ask(GiveVotes(news=news), Noted)

    # ---- answers

    async def _serve_tally(self, caller: str, call: AskTally) -> Reply:
        del caller
        if call.digest == self._ledger.digest():
            return Noted()
        return TallyIs(voters=self._ledger.tallies())

    async def _serve_votes(self, caller: str, call: AskVotes) -> Reply:
        del caller
        wanted = (self._ledger.parts(want.voter, want.start) for want in call.wants)
        return VotesAre(news=next(batches(chain.from_iterable(wanted)), ()))

    async def _serve_gift(self, caller: str, call: GiveVotes) -> Reply:
        del caller
        for news in call.news:
            await self._take(news)
        return Noted()

    async def _take(self, news: News) -> Merge:
        # A signature takes 0.1 ms to check, and a message brings many.
        await trio.lowlevel.checkpoint()
        self._bytes_in += len(encode(news))
        self._votes_in += len(news.votes) if isinstance(news, SignedVotes) else 0
        return self._ledger.take(news)

    def statistics(self) -> AntiEntropyStatistics:
        """Counters since the start."""
        return AntiEntropyStatistics(
            self._equal, self._different, self._failed, self._votes_in, self._bytes_in
        )
