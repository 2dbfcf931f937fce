"""Who forms a group: what one peer knows of the others' readiness, and how long waiting for them is worth it.

Nobody waits for the swarm. Of n live peers with `missing` not ready yet, those who are ready wait for at
most `missing / n` of an outer step, and only while somebody is due by then. So a few never hold up many; and
of two sets of peers whose boundaries fall apart, one or the other always waits long enough, as the limits of
both add up to a whole outer step. That is how who missed a group is drawn back in by the next.
"""

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field
from statistics import median_low

import trio

from peer.swarm.deadline import AdaptiveDeadline
from peer.swarm.engagement import OwnShare
from peer.swarm.group import Group

MOMENT = 0.1
"""Seconds between one peer's turn to invite the others and the next peer's: about a round trip."""

REMEMBERED = 5
"""Spans of training that count."""

UNKNOWN = 3600.0
"""Seconds to our next share where we know nothing of it yet: nobody should wait for us."""

SOON = 0.5
"""Seconds after which who is still in a group that we have given up may be ready again."""

ROOM = 1.1
"""Factor on the waits, so that those of two equal sets do not miss each other by a hair."""


@dataclass(slots=True)
class Promise:
    """We have joined a peer that invites, and wait until `deadline` (trio's clock) for its list."""

    leader: str
    invitation: bytes
    deadline: float


@dataclass(slots=True)
class Gathering:
    """One fragment of one peer: its share, and who else is ready. Decides; does no I/O.

    Attributes:
        share: the newest share; it waits for a group while `open`.
        group: the group that we are in.
        promise: whom we have joined.
        inviting: the invitation that we have sent out ourselves.
    """

    own_id: str
    fragment: int
    waits: bool
    """The trainer stands still at its boundary until the share is settled."""
    share: OwnShare | None = None
    group: Group | None = None
    promise: Promise | None = None
    inviting: trio.CancelScope | None = None
    open: bool = False
    next_boundary: float = UNKNOWN
    lateness: AdaptiveDeadline = field(
        default_factory=lambda: AdaptiveDeadline(first=1.0, floor=0.2, ceiling=30.0)
    )
    """By how much peers are ready later than they said."""
    _ready: set[str] = field(default_factory=set)
    _due: dict[str, float] = field(default_factory=dict)
    _asked: set[str] = field(default_factory=set)
    _since: float = 0.0
    _since_when: float = field(default_factory=trio.current_time)
    _waits_now: bool = False
    _first: float = 0.0
    _spans: deque[float] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    _untried: list[OwnShare] = field(default_factory=list)
    _changed: trio.Event = field(default_factory=trio.Event)

    # ---- our own share

    def new_share(self, share: OwnShare) -> None:
        """Take the share of a boundary; it replaces the last one."""
        now = trio.current_time()
        self._first = now - self._since_when
        if self.share is not None:
            self._spans.append(self._first)
        self._since_when, self.share = now, share
        self._waits_now = self.waits
        self._untried.append(share)
        self.notify()

    def settle(self) -> None:
        """Take note that a share has had its group or goes without: a trainer that waits goes on."""
        if self.waits:
            self._since_when, self._waits_now = trio.current_time(), False

    def take_shares(self) -> list[OwnShare]:
        """Return the shares that no group has been sought for; all but the last were overtaken by it."""
        untried, self._untried = self._untried, []
        return untried

    def withdraw(self) -> None:
        """Share nothing: the share has had its time."""
        self.share = None
        self._untried.clear()
        self._spans.clear()
        self._since_when = trio.current_time()
        self.notify()

    def rest(self) -> None:
        """Share nothing until the next boundary, which nobody should wait for; what waits goes without."""
        self.share = None
        self._spans.clear()
        self._since_when = trio.current_time()
        self.next_boundary = UNKNOWN
        self.notify()

    def begin(self) -> None:
        """Let the share wait for a group from now on."""
        self.open, self._since = True, trio.current_time()
        self._due.clear()

    def end(self) -> None:
        """Let it wait no longer: there is a group, or there will be none."""
        self.open, self.promise, self.inviting = False, None, None
        self._asked.clear()

    def due(self, caller: str) -> float:
        """Return in how many seconds we shall be ready, for a peer that is now."""
        if self.group is not None and caller in self.group.members:
            # It has given our group up, which may come to nothing for us too.
            return SOON
        if not self._spans:
            return self.next_boundary
        trained = 0.0 if self._waits_now else trio.current_time() - self._since_when
        return max(self._span - trained, MOMENT)

    @property
    def _span(self) -> float:
        """Seconds of training for a share: of the last few the median."""
        return median_low(self._spans) if self._spans else self._first

    # ---- the others

    def ask(self, peer_id: str) -> None:
        """Note that we have told a peer and wait for its answer: what it said before may be no longer so."""
        self._ready.discard(peer_id)
        self._asked.add(peer_id)

    def note_ready(self, peer_id: str) -> None:
        """Note that a peer is ready."""
        due = self._due.pop(peer_id, None)
        if due is not None:
            self.lateness.observe(max(trio.current_time() - due, 0.0))
        self._asked.discard(peer_id)
        self._ready.add(peer_id)
        self.notify()

    def note_due(self, peer_id: str, seconds: float) -> None:
        """Note that a peer is not ready, and when it says it will be."""
        self._ready.discard(peer_id)
        self._asked.discard(peer_id)
        self._due[peer_id] = trio.current_time() + seconds
        self.notify()

    def note_gone(self, peer_id: str) -> None:
        """Note that a peer does not answer."""
        self._ready.discard(peer_id)
        self._asked.discard(peer_id)
        self._due.pop(peer_id, None)
        self.notify()

    def ready(self, live: Collection[str]) -> list[str]:
        """Return those of the live peers that are ready, in the order of their PeerIDs."""
        return sorted(self._ready.intersection(live))

    def waits_until(self, live: Collection[str]) -> float:
        """Return until when (trio's clock) it is worth waiting for more of the live peers.

        Now or before: it is not.
        """
        missing = [peer_id for peer_id in live if peer_id not in self._ready]
        limit = self._since + ROOM * self._span * len(missing) / (len(live) + 1)
        if self._asked.intersection(missing):
            return limit
        slack, now = self.lateness.seconds, trio.current_time()
        ends = [self._due[peer_id] + slack for peer_id in missing if self._due.get(peer_id, limit) < limit]
        return min(max((end for end in ends if end > now), default=now), limit)

    def turn(self, live: Collection[str]) -> float:
        """Return how many seconds to leave to the smaller PeerIDs among the ready, who invite before us."""
        rank = sum(peer_id < self.own_id for peer_id in self.ready(live))
        return MOMENT * rank.bit_length()

    # ---- invitations

    def join(self, leader: str, invitation: bytes, patience: float) -> bool:
        """Join a peer that invites us, unless we are spoken for. Of several, the smallest PeerID stands."""
        if not self.open or self.group is not None:
            return False
        rival = self.promise.leader if self.promise else self.own_id if self.inviting else None
        if rival is not None and rival < leader:
            return False
        self.promise = Promise(leader, invitation, trio.current_time() + patience)
        if self.inviting is not None:
            self.inviting.cancel()
        self.notify()
        return True

    def lead(self, group: Group) -> None:
        """Enter a group of those who have joined us."""
        self.group = group
        self.notify()

    def enter(self, group: Group) -> bool:
        """Enter the group that came of the invitation that we joined; False where we no longer may."""
        promise, share = self.promise, self.share
        if not self.open or self.group is not None or promise is None or share is None:
            return False
        if (promise.leader, promise.invitation) != (group.leader, group.form.invitation):
            return False
        if group.form.reference not in (None, share.reference):
            return False
        self.group = group
        self.notify()
        return True

    def call_off(self, leader: str, invitation: bytes) -> None:
        """Take note that an invitation stands no longer."""
        if self.promise is not None and (self.promise.leader, self.promise.invitation) == (
            leader,
            invitation,
        ):
            self.promise = None
            self.notify()

    def leave_group(self) -> None:
        """Take note that our group has ended. Who was ready for it must say so again."""
        self.group = None
        self._ready.clear()

    async def wait_change(self) -> None:
        """Wait until anything above changes."""
        await self._changed.wait()

    def notify(self) -> None:
        """Wake who waits for a change."""
        event, self._changed = self._changed, trio.Event()
        event.set()
