"""A group that has formed: its members, what each one's share counts for, and how the parts are written."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median_low

from protocol.codec import digest, encode
from protocol.fragments import fragments
from protocol.group_calls import Form, Joins
from protocol.limits import MAX_STANDING
from protocol.manifest import Manifest
from protocol.rules import GROUP_CODECS
from protocol.sizes import FP32_BYTES, MOST_SHARED, SLACK

MOST_TOKENS = 4
"""A member's tokens count for at most so many times the group's median: hosts differ, and some lie."""

FALLBACK = "bf16"
"""The codec of parts where the members did not begin alike and the run names only codecs of changes."""


@dataclass(frozen=True, slots=True)
class Group:
    """One group as each of its members sees it.

    Attributes:
        form: the list, the same for all.
        leader: who sent it.
        members: the PeerIDs in the order of the list.
        own: our place in it.
        id: its hash, by which calls name it.
    """

    form: Form
    leader: str
    members: tuple[str, ...]
    own: int
    id: bytes

    @property
    def others(self) -> tuple[int, ...]:
        """Return the places of the other members."""
        return tuple(member for member in range(len(self.form.members)) if member != self.own)

    @property
    def leads(self) -> int:
        """Return the leader's place."""
        return self.members.index(self.leader)

    @property
    def together(self) -> bool:
        """Whether all members began the outer step alike."""
        return self.form.reference is not None


def open_group(form: Form, leader: str, own_id: str, said: Joins, most: int) -> Group | str:
    """Return the group that a list stands for, or why we are not of it.

    Args:
        form: the list, hostile.
        leader: who sent it.
        own_id: our PeerID.
        said: what we said of our share.
        most: the most members of a group of this run.
    """
    members = [member.peer_id for member in form.members]
    if len(members) > most:
        return f"a group has at most {most} members in this run"
    if members != sorted(set(members)):
        return "the members are not in the order of their PeerIDs"
    if leader not in members or own_id not in members:
        return "the leader or we are not on the list"
    own = members.index(own_id)
    if (form.members[own].tokens, form.members[own].standing) != (said.tokens, said.standing):
        return "that is not what we said of our share"
    return Group(form, leader, tuple(members), own, digest(encode(form)))


def weights(group: Group, *, by_tokens: bool) -> Sequence[float]:
    """Return what each member's share counts for, in the order of the list; only the ratios matter.

    A newcomer's counts for less, and for nothing at first: it is brought to what the others agree on.
    """
    members = group.form.members
    counted = _by_tokens([member.tokens for member in members]) if by_tokens else [1.0] * len(members)
    weighted = [one * member.standing / MAX_STANDING for one, member in zip(counted, members, strict=True)]
    return weighted if any(weighted) else counted


def _by_tokens(tokens: Sequence[int]) -> list[float]:
    if not any(tokens):
        return [1.0] * len(tokens)
    most = MOST_TOKENS * max(median_low(tokens), 1)
    return [float(min(one, most)) for one in tokens]


def codec_of(manifest: Manifest, *, together: bool) -> str:
    """Return the codec of the parts: the run's first, or its first that needs no common beginning."""
    usable = [codec for codec in manifest.codecs if together or codec not in GROUP_CODECS]
    return usable[0] if usable else FALLBACK


def largest_part(manifest: Manifest, fragment: int, members: int) -> int:
    """Return the most bytes of one part of so many: weights and momentum in fp32, the longest codec."""
    values = -(-fragments(manifest)[fragment].values // members)
    return MOST_SHARED * (FP32_BYTES * values + SLACK)
