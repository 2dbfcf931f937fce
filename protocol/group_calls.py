"""How the peers of a run with groups above two find each other, agree on who averages what, and end alike."""

from typing import Annotated, Literal

from msgspec import Meta

from protocol.codec import Message
from protocol.limits import MAX_GROUP, MAX_OBJECT, MAX_RECORDS, MAX_STANDING

Fragment = Annotated[int, Meta(ge=0, le=255)]
Invitation = Annotated[bytes, Meta(min_length=16, max_length=16)]
PeerId = Annotated[str, Meta(min_length=1, max_length=64)]
Digest = Annotated[bytes, Meta(min_length=32, max_length=32)]
Index = Annotated[int, Meta(ge=0, lt=MAX_GROUP)]
"""A member, or the part of a share that bears its number."""
Standing = Annotated[int, Meta(ge=0, le=MAX_STANDING)]
Version = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Count = Annotated[int, Meta(ge=0, le=2**62)]
Stage = Literal["open", "lost", "committed", "void"]
"""`open`: under way. `committed`: the averages are final and may land. `void`: nothing of it may land.
`lost`: the teller has given its leader up and knows of no commitment; only in the answer to `AskFate`."""


class Average(Message, frozen=True):
    """The average of one part, as its owner announces it."""

    part: Index
    sha256: Digest
    size: Annotated[int, Meta(ge=1, le=MAX_OBJECT)]


class GroupMember(Message, frozen=True):
    """One member, the tokens that it trained for its share, and what else its share counts by."""

    peer_id: PeerId
    tokens: Count
    standing: Standing


# ---- calls


class Ready(Message, frozen=True, tag="ready"):
    """I have a share of this fragment to average. The answer is `Noted` (so have you) or `Busy` (not yet)."""

    fragment: Fragment


class Invite(Message, frozen=True, tag="invite"):
    """Let us form a group, which I lead. The answer is `Joins` or `Busy`."""

    invitation: Invitation
    fragment: Fragment


class Form(Message, frozen=True, tag="form"):
    """The group that came of an invitation. Its hash names it from now on, so no two lists share a name."""

    invitation: Invitation
    fragment: Fragment
    members: Annotated[tuple[GroupMember, ...], Meta(min_length=2, max_length=MAX_GROUP)]
    """In the order of their PeerIDs; part i is averaged by member i."""
    reference: Digest | None
    """What all members began the outer step from; None where they did not begin it alike."""


class Leave(Message, frozen=True, tag="leave"):
    """I take no further part in what came of this invitation; its leader says so to call it off."""

    invitation: Invitation


class AskRecords(Message, frozen=True, tag="ask_records"):
    """Give me the records of these peers, which I do not know. The answer is `PeersAre`."""

    peers: Annotated[tuple[PeerId, ...], Meta(min_length=1, max_length=MAX_RECORDS)]


class AskPart(Message, frozen=True, tag="ask_part"):
    """Which object is this part of your share? The answer is `PartIs`, once you have cut your share."""

    group: Digest
    part: Index


class Report(Message, frozen=True, tag="report"):
    """From a member to its leader, every few seconds and whenever there is news: where I stand.

    The answer is `GroupIs`, once it is newer than `seen`, or after a moment as a sign of life.
    """

    group: Digest
    seen: Version
    averages: Annotated[tuple[Average, ...], Meta(max_length=MAX_GROUP)]
    """Those that I made."""
    holds: bool
    """I hold all averages of the version that I have seen."""
    lacks: Annotated[tuple[Index, ...], Meta(max_length=MAX_GROUP)]
    """Averages that nobody could give me."""


class AskFate(Message, frozen=True, tag="ask_fate"):
    """My leader is gone: what became of the group? The answer is `GroupIs`, as you know it."""

    group: Digest


GroupCall = Ready | Invite | Form | Leave | AskRecords | AskPart | Report | AskFate

# ---- answers


class Joins(Message, frozen=True, tag="joins"):
    """The answer to `Invite`: I wait for your `Form`."""

    tokens: Count
    standing: Standing
    reference: Digest | None


class PartIs(Message, frozen=True, tag="part"):
    """The answer to `AskPart`: pull this."""

    sha256: Digest
    size: Annotated[int, Meta(ge=1, le=MAX_OBJECT)]


class GroupIs(Message, frozen=True, tag="group"):
    """Where a group stands."""

    version: Version
    stage: Stage
    owners: Annotated[tuple[Index, ...], Meta(min_length=2, max_length=MAX_GROUP)]
    """Who averages each part: member i part i, unless it was lost before it did."""
    averages: Annotated[tuple[Average, ...], Meta(max_length=MAX_GROUP)]
    """Those that are known."""
    lost: Annotated[tuple[Index, ...], Meta(max_length=MAX_GROUP)]
    """Members that were not heard of for too long."""


GroupAnswer = Joins | PartIs | GroupIs
