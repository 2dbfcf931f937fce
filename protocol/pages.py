"""A voter's log on the wire: pages of votes, each signed as far as it goes, and proof of cheating.

A log only grows, so of two versions of a page one begins with the other. A voter that signs two which do not
has cheated (or runs on a copied home), and the two signatures prove it to everybody.
"""

from typing import Annotated

from msgspec import Meta

from protocol import identity
from protocol.codec import Message
from protocol.errors import ProtocolError
from protocol.identity import Identity
from protocol.limits import MAX_VOTES

PAGE = 4096
"""Votes of a page: a signature costs a newcomer 1.6% of it."""

Voter = Annotated[bytes, Meta(min_length=32, max_length=32)]
"""A raw Ed25519 public key."""

Position = Annotated[int, Meta(ge=0, le=MAX_VOTES)]
"""Place of a vote in its voter's log: step * samples + sample."""


class SignedVotes(Message, frozen=True, tag="votes"):
    """Votes from a position to the end of what their voter has signed of the page."""

    voter: Voter
    start: Position
    votes: Annotated[bytes, Meta(min_length=1, max_length=PAGE)]
    signature: Annotated[bytes, Meta(min_length=64, max_length=64)]
    """Over the page from its beginning, not from `start`."""

    @property
    def page(self) -> int:
        """The number of the page."""
        return self.start // PAGE

    @property
    def offset(self) -> int:
        """Where in its page the first vote stands."""
        return self.start % PAGE


class Evidence(Message, frozen=True, tag="evidence"):
    """Two versions of one page, neither the beginning of the other, both signed by the voter."""

    one: SignedVotes
    other: SignedVotes

    @property
    def voter(self) -> bytes:
        """Whose guilt it shows."""
        return self.one.voter


News = SignedVotes | Evidence
"""What peers tell each other of a voter."""


def sign_page(signer: Identity, run_id: bytes, page: int, votes: bytes) -> bytes:
    """Return the signature over a page as far as it goes."""
    return signer.sign("votes", _signed(run_id, page, votes))


def verify_page(voter: bytes, run_id: bytes, page: int, votes: bytes, signature: bytes) -> None:
    """Check a page's signature.

    Raises:
        ProtocolError: the voter has not signed these votes.
    """
    identity.verify(voter, "votes", _signed(run_id, page, votes), signature)


def verify_evidence(evidence: Evidence, run_id: bytes) -> None:
    """See that it proves what it claims.

    Raises:
        ProtocolError: it does not.
    """
    one, other = evidence.one, evidence.other
    if (one.voter, one.page) != (other.voter, other.page) or one.offset or other.offset:
        raise ProtocolError("the evidence is not of two versions of one page")
    if one.votes.startswith(other.votes) or other.votes.startswith(one.votes):
        raise ProtocolError("the evidence shows a page that grew, as it may")
    for part in (one, other):
        verify_page(part.voter, run_id, part.page, part.votes, part.signature)


def _signed(run_id: bytes, page: int, votes: bytes) -> bytes:
    return run_id + page.to_bytes(4, "big") + votes
