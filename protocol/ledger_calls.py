"""How two peers of a `onebyte` run make their ledgers equal: compare, ask for what is missing, and give."""

from typing import Annotated

from msgspec import Meta

from protocol.codec import Message
from protocol.limits import MAX_VOTERS, MAX_VOTES
from protocol.pages import News, Position, Voter

MAX_NEWS = 1024
"""Parts of logs in one message; its bytes are limited like every message's."""


class VoterTally(Message, frozen=True):
    """What a ledger holds of one voter."""

    voter: Voter
    votes: Annotated[int, Meta(ge=0, le=MAX_VOTES)]
    digest: Annotated[bytes, Meta(min_length=16, max_length=16)]
    """First half of the SHA-256 of its log."""
    guilty: bool


class Want(Message, frozen=True):
    """A voter's log from a position on."""

    voter: Voter
    start: Position


# ---- calls


class AskTally(Message, frozen=True, tag="ask_tally"):
    """Do our ledgers differ? The answer is `Noted` where they do not."""

    digest: Annotated[bytes, Meta(min_length=32, max_length=32)]


class AskVotes(Message, frozen=True, tag="ask_votes"):
    """Give me these logs, as much of them as one message takes; I ask again for the rest."""

    wants: Annotated[tuple[Want, ...], Meta(min_length=1, max_length=MAX_VOTERS)]


class GiveVotes(Message, frozen=True, tag="give_votes"):
    """Take these: by your tally you lack them."""

    news: Annotated[tuple[News, ...], Meta(min_length=1, max_length=MAX_NEWS)]


# ---- answers


class TallyIs(Message, frozen=True, tag="tally"):
    """The answer to `AskTally` where the ledgers differ."""

    voters: Annotated[tuple[VoterTally, ...], Meta(max_length=MAX_VOTERS)]


class VotesAre(Message, frozen=True, tag="votes_are"):
    """The answer to `AskVotes`."""

    news: Annotated[tuple[News, ...], Meta(max_length=MAX_NEWS)]


LedgerCall = AskTally | AskVotes | GiveVotes
LedgerAnswer = TallyIs | VotesAre
