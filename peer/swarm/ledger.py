"""Everybody's votes: a set that only grows, whose copies become equal in whatever order news arrives.

Of two versions of a page the longer holds; a voter that signed two versions of which neither is the beginning
of the other is guilty, and from then on its log is empty everywhere. Where strangers vote in greater number
than `most`, those with the smallest hash of run and key count. Each of the three rules is a maximum, so
merging commutes, associates and may be repeated.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum, auto

from peer.swarm.voter_log import VoterLog
from protocol.codec import digest, encode
from protocol.errors import ProtocolError
from protocol.identity import Identity
from protocol.ledger_calls import VoterTally
from protocol.limits import MAX_VOTERS
from protocol.pages import PAGE, Evidence, News, SignedVotes, sign_page, verify_evidence, verify_page


class Merge(Enum):
    """What became of news."""

    NEW = auto()
    KNOWN = auto()
    APART = auto()
    """It leaves a gap, or continues another version of the page: ask for the page from its start."""
    OUTSIDE = auto()
    """It is beyond what one voter may cast, or of a voter whose votes do not count."""


Listener = Callable[[bytes, News | None], None]
"""Hears of a voter whose log has changed, and why; None: it counts no more."""


@dataclass(frozen=True, slots=True)
class LedgerStatistics:
    """What the ledger holds."""

    voters: int
    votes: int
    guilty: int


class Ledger:
    """Logs of votes by voter (raw public key). `take` is for what strangers send."""

    def __init__(self, run_id: bytes, longest: int, *, most: int = MAX_VOTERS) -> None:
        self._run_id = run_id
        self._longest = longest
        self._most = most
        self._logs: dict[bytes, VoterLog] = {}
        self._listeners: list[Listener] = []

    def on_change(self, listener: Listener) -> None:
        """Call `listener` after each change."""
        self._listeners.append(listener)

    def sign(self, signer: Identity, votes: bytes) -> list[SignedVotes]:
        """Sign the next votes of the signer's own log, one part a page. They are not taken in yet."""
        voter, held = signer.public_key, self.votes(signer.public_key)
        position, held = len(held), held + votes
        parts: list[SignedVotes] = []
        while position < len(held):
            index = position // PAGE
            page = held[index * PAGE : (index + 1) * PAGE]
            signature = sign_page(signer, self._run_id, index, page)
            new = page[position % PAGE :]
            parts.append(SignedVotes(voter=voter, start=position, votes=new, signature=signature))
            position += len(new)
        return parts

    def take(self, news: News) -> Merge:
        """Take in a part of a log, or the proof that its voter cheats.

        Raises:
            ProtocolError: it is not signed by the voter, or proves nothing; whoever sent it is to blame.
        """
        return self._merge(news) if isinstance(news, SignedVotes) else self._accuse(news)

    def _merge(self, part: SignedVotes) -> Merge:
        end = part.start + len(part.votes)
        if end > min(self._longest, (part.page + 1) * PAGE) or not self.counts(part.voter):
            return Merge.OUTSIDE
        log = self._logs.get(part.voter) or VoterLog()
        if log.evidence is not None:
            return Merge.KNOWN
        if part.start > len(log.votes):
            return Merge.APART
        ours = log.page(part.page)
        theirs = ours[: part.offset] + part.votes
        if ours.startswith(theirs):
            return Merge.KNOWN
        if not self._signed(part, theirs):
            return Merge.APART
        if theirs.startswith(ours):
            self._extend(log, part, theirs[len(ours) :])
        else:
            first = part.page * PAGE
            versions = ((ours, log.signatures[part.page]), (theirs, part.signature))
            one, other = (
                SignedVotes(voter=part.voter, start=first, votes=votes, signature=signature)
                for votes, signature in versions
            )
            self._convict(Evidence(one=one, other=other))
        return Merge.NEW

    def _signed(self, part: SignedVotes, page: bytes) -> bool:
        try:
            verify_page(part.voter, self._run_id, part.page, page, part.signature)
        except ProtocolError:
            if part.offset == 0:
                raise
            # What we hold before it may be of another version: nobody is to blame yet.
            return False
        return True

    def _extend(self, log: VoterLog, part: SignedVotes, new: bytes) -> None:
        self._enter(part.voter, log)
        log.extend(new, part.signature)
        self._tell(part.voter, part)

    def _accuse(self, evidence: Evidence) -> Merge:
        voter = evidence.voter
        if not self.counts(voter):
            return Merge.OUTSIDE
        if self.guilty(voter):
            return Merge.KNOWN
        verify_evidence(evidence, self._run_id)
        self._convict(evidence)
        return Merge.NEW

    def _convict(self, evidence: Evidence) -> None:
        self._enter(evidence.voter, VoterLog(evidence=evidence))
        self._tell(evidence.voter, evidence)

    def counts(self, voter: bytes) -> bool:
        """Say whether a voter has a place, or would get one now."""
        return (
            voter in self._logs
            or len(self._logs) < self._most
            or self._rank(voter) < max(map(self._rank, self._logs))
        )

    def _rank(self, voter: bytes) -> bytes:
        return digest(self._run_id + voter)

    def _enter(self, voter: bytes, log: VoterLog) -> None:
        self._logs[voter] = log
        if len(self._logs) > self._most:
            last = max(self._logs, key=self._rank)
            del self._logs[last]
            self._tell(last, None)

    def _tell(self, voter: bytes, why: News | None) -> None:
        for listener in self._listeners:
            listener(voter, why)

    def voters(self) -> list[bytes]:
        """Return every voter that we know of, the guilty too."""
        return sorted(self._logs)

    def votes(self, voter: bytes) -> bytes:
        """Return a voter's log: empty where it is unknown or guilty."""
        log = self._logs.get(voter)
        return bytes(log.votes) if log else b""

    def count(self, voter: bytes) -> int:
        """Return the length of a voter's log."""
        log = self._logs.get(voter)
        return len(log.votes) if log else 0

    def guilty(self, voter: bytes) -> bool:
        """Say whether a voter is known to have cheated."""
        log = self._logs.get(voter)
        return log is not None and log.evidence is not None

    def parts(self, voter: bytes, start: int) -> Iterator[News]:
        """Return a voter's log from a position on, one part a page; of a guilty one the evidence."""
        log = self._logs.get(voter)
        return log.parts(voter, start) if log else iter(())

    def tallies(self) -> tuple[VoterTally, ...]:
        """Sum up every log."""
        return tuple(log.tally(voter) for voter, log in sorted(self._logs.items()))

    def digest(self) -> bytes:
        """Return 32 bytes that are equal where two ledgers are."""
        return digest(b"".join(encode(tally) for tally in self.tallies()))

    def statistics(self) -> LedgerStatistics:
        """Gauges at this moment."""
        logs = self._logs.values()
        return LedgerStatistics(
            voters=len(logs),
            votes=sum(len(log.votes) for log in logs),
            guilty=sum(log.evidence is not None for log in logs),
        )
