"""One voter's log as a ledger holds it: votes, the signature of each page, or the proof that it cheats."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from protocol.ledger_calls import VoterTally
from protocol.pages import PAGE, Evidence, News, SignedVotes

DIGEST_BYTES = 16


@dataclass(slots=True)
class VoterLog:
    """Checks nothing: the ledger has."""

    votes: bytearray = field(default_factory=bytearray)
    signatures: list[bytes] = field(default_factory=list)
    """Of each page, as far as we hold it."""
    evidence: Evidence | None = None
    _hash: Any = field(default_factory=hashlib.sha256)

    def page(self, index: int) -> bytes:
        """Return what there is of a page."""
        return bytes(self.votes[index * PAGE : (index + 1) * PAGE])

    def extend(self, new: bytes, signature: bytes) -> None:
        """Append votes of one page, whose signature so far this is."""
        self.signatures[len(self.votes) // PAGE :] = [signature]
        self.votes += new
        self._hash.update(new)

    def parts(self, voter: bytes, start: int) -> Iterator[News]:
        """Yield the log from a position on, one part a page, or the evidence."""
        if self.evidence is not None:
            yield self.evidence
        while start < len(self.votes):
            votes = self.page(start // PAGE)[start % PAGE :]
            yield SignedVotes(voter=voter, start=start, votes=votes, signature=self.signatures[start // PAGE])
            start += len(votes)

    def tally(self, voter: bytes) -> VoterTally:
        """Sum it up."""
        return VoterTally(
            voter=voter,
            votes=len(self.votes),
            digest=self._hash.digest()[:DIGEST_BYTES],
            guilty=self.evidence is not None,
        )
