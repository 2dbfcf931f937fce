"""What the leader of a group keeps: who averages what, who holds all averages, and whether they may land."""

from dataclasses import dataclass, field

import trio

from peer.swarm.group import Group
from protocol.group_calls import Average, GroupIs, Report, Stage

LOST = 8.0
"""Seconds without a report after which a member is lost: it reports every `HEARTBEAT`."""

HEARTBEAT = 2.0
"""Seconds after which a report is answered though there is no news."""

BATCH = 0.05
"""Seconds that news waits for more of it: one answer then tells of many averages."""

HOLDERS = 2
"""Members that must hold all averages before they may land: if one vanishes, the other still has them."""


@dataclass(slots=True)
class Leading:
    """The state of one group, changed by its members' reports alone. Only its leader has one."""

    group: Group
    largest: int
    """Most bytes of an average."""
    _version: int = 1
    _stage: Stage = "open"
    _listed: int = 1
    """The version in which the list of averages last changed."""
    _owners: list[int] = field(init=False)
    _averages: dict[int, Average] = field(default_factory=dict)
    _seen: dict[int, float] = field(init=False)
    _holders: set[int] = field(default_factory=set)
    _lost: set[int] = field(default_factory=set)
    _changed: trio.Event = field(default_factory=trio.Event)
    _lackers: dict[int, set[int]] = field(default_factory=dict)
    unfit: set[int] = field(default_factory=set)
    """Members that said nothing for too long, or whose average nobody could get."""
    heard: trio.Event = field(default_factory=trio.Event)
    """Set once another member knows that the group is committed."""

    def __post_init__(self) -> None:
        count = len(self.group.members)
        self._owners = list(range(count))
        self._seen = dict.fromkeys(range(count), trio.current_time())

    def state(self) -> GroupIs:
        """Return where the group stands."""
        return GroupIs(
            version=self._version,
            stage=self._stage,
            owners=tuple(self._owners),
            averages=tuple(self._averages[part] for part in sorted(self._averages)),
            lost=tuple(sorted(self._lost)),
        )

    async def answer(self, member: int, report: Report) -> GroupIs:
        """Take a member's report in, and answer it once there is news for it."""
        self.take(member, report)
        if report.seen >= self._version and self._stage == "open":
            with trio.move_on_after(HEARTBEAT):
                await self._changed.wait()
                await trio.sleep(BATCH if self._stage == "open" else 0.0)
        return self.state()

    def note_alive(self, member: int) -> None:
        """Take note of a sign of life."""
        self._seen[member] = trio.current_time()

    def take(self, member: int, report: Report) -> None:
        """Take a member's report in."""
        self.note_alive(member)
        if self._stage != "open":
            if self._stage == "committed" and member != self.group.own and report.seen >= self._version:
                self.heard.set()
            return
        for average in report.averages:
            if self._is_wanted(member, average):
                self._averages[average.part] = average
                self._relist()
        if report.holds and report.seen >= self._listed and len(self._averages) == len(self._owners):
            self._holders.add(member)
            self._lost.discard(member)
        # What it lacked of an older list may be here in this one.
        if report.seen >= self._listed:
            for part in set(report.lacks).intersection(self._averages):
                self._miss(part, member)
        if len(self._holders) >= HOLDERS:
            self._end("committed")

    def _is_wanted(self, member: int, average: Average) -> bool:
        if average.part >= len(self._owners) or self._owners[average.part] != member:
            return False
        return average.part not in self._averages and average.size <= self.largest

    def _miss(self, part: int, member: int) -> None:
        """Let another average a part that a member can get from nobody.

        Where its owner still speaks to us, most of the others must say so: one of them alone may lie.
        """
        owner, lackers = self._owners[part], self._lackers.setdefault(part, set())
        lackers.add(member)
        others = set(range(len(self._owners))) - self._lost - {owner}
        if owner in self._lost or 2 * len(lackers & others) > len(others):
            del self._averages[part], self._lackers[part]
            self.unfit.add(owner)
            if owner in self._lost:
                self._reassign(part)
            else:
                self.lose(owner)

    def _reassign(self, part: int) -> None:
        count = len(self._owners)
        around = ((self._owners[part] + step) % count for step in range(1, count))
        heir = next((member for member in around if member not in self._lost), None)
        if heir is not None:
            self._owners[part] = heir
        self._relist()

    def _relist(self) -> None:
        self._version += 1
        self._listed = self._version
        self._holders.clear()
        self._notify()

    def lose(self, member: int) -> None:
        """Give a member up: others average what it has not, and need not wait for its parts."""
        if self._stage != "open" or member in self._lost:
            return
        self._lost.add(member)
        self._holders.discard(member)
        if len(self._owners) - len(self._lost) < HOLDERS:
            self._end("void")
            return
        self._version += 1
        self._notify()
        for part, owner in enumerate(self._owners):
            if owner in self._lost and part not in self._averages:
                self._reassign(part)

    def give_up(self) -> None:
        """Let nothing of it land."""
        if self._stage == "open":
            self._end("void")

    def revoke(self) -> None:
        """Take a commitment back that nobody has heard of."""
        if self._stage == "committed" and not self.heard.is_set():
            self._end("void")

    async def watch(self) -> None:
        """Lose members that fall silent, until the group is decided."""
        while self._stage == "open":
            await trio.sleep(LOST / 8)
            for member, seen in self._seen.items():
                if trio.current_time() - seen > LOST and member not in self._lost:
                    self.unfit.add(member)
                    self.lose(member)

    @property
    def owing(self) -> set[int]:
        """Return the members that owe an average."""
        return {owner for part, owner in enumerate(self._owners) if part not in self._averages}

    def _end(self, stage: Stage) -> None:
        self._stage = stage
        self._version += 1
        self._notify()

    def _notify(self) -> None:
        event, self._changed = self._changed, trio.Event()
        event.set()
