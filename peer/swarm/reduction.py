"""One member's part in the average of a group: who averages what, and why all end with the same bytes.

A share is cut into n parts. Member i is the owner of part i: it pulls part i from every other member,
averages those that come in time (the weights renormalised), and tells the leader the hash of the average.
The leader lists the hashes; every member pulls the objects that they name from their owners, or from whoever
holds them, and says so. Once two members hold all, the leader commits the list, and only then may it land.

Why those who mix end alike: an average is made once and named by its hash. The list of them is one member's,
the leader's, and final once it is committed. Nothing lands before, and nothing but that list after. To let go
of a group is always safe (a skip), so no failure can damage a model:

- A plain member fails: owners go on without its parts. Nothing waits longer than a deadline or `LOST`.
- An owner fails before its average is known, or before anybody holds it: the leader gives the part to the
  next member in the ring. After that any holder serves it; before a commit two hold all.
- The leader fails before it commits: its members ask each other (`AskFate`). Who has given a leader up takes
  no more from it, so once all who answer have, none of them can hear of a commit: it is void for all.
- The leader fails while it commits: whoever has heard of it says so to those who ask, with the list.
- The leader itself mixes only once another member has heard of the commit: one cut off would mix alone.
- Who knows of the commit and cannot get the objects skips. It begins apart next time, and is drawn back in.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

import trio

from peer.swarm.engagement import OwnShare
from peer.swarm.group import Group
from peer.swarm.holdings import Holdings
from peer.swarm.leading import LOST, Leading
from peer.swarm.learner import Learner, LearnerGoneError
from peer.swarm.member_calls import MemberCalls
from peer.swarm.objects import ObjectStore
from peer.swarm.part_fetcher import PartFetcher
from peer.swarm.transport import Transport
from peer.swarm.view import View
from protocol.errors import ProtocolError
from protocol.group_calls import AskFate, AskPart, AskRecords, Average, Form, GroupIs, Leave, Report
from protocol.limits import MAX_RECORDS
from protocol.messages import Noted, ObjectRef, PeersAre
from protocol.trainer import Member

PAUSE = 0.5
"""Seconds between two rounds of questions to all members."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What every reduction of a peer works with."""

    transport: Transport
    run_id: bytes
    view: View
    store: ObjectStore
    fetcher: PartFetcher
    learner: Learner


@dataclass(frozen=True, slots=True)
class Terms:
    """What the members of one group do alike.

    Attributes:
        codec: how the parts are written.
        weights: what each member's share counts for.
        largest: most bytes of a part or an average.
    """

    codec: str
    weights: Sequence[float]
    largest: int


class Reduction:
    """Our part in one group. `run` ends with all averages here and committed, or with a `failure`."""

    def __init__(self, tools: Tools, group: Group, share: OwnShare, terms: Terms) -> None:
        self._tools = tools
        self.group = group
        self.share = share
        self._terms = terms
        self._calls = MemberCalls(tools.transport, tools.run_id, tools.view, group)
        count = len(group.members)
        self.leading: Leading | None = None
        if group.leader == group.members[group.own]:
            self.leading = Leading(group, terms.largest)
        self._state = GroupIs(version=0, stage="open", owners=tuple(range(count)), averages=(), lost=())
        self._holdings = Holdings(tools.store)
        self._parts: tuple[ObjectRef, ...] = ()
        self._cut = trio.Event()
        self._made: dict[int, Average] = {}
        self._held: dict[int, Average] = {}
        self._lacks: set[int] = set()
        self._averaging: set[int] = set()
        self._pulling: dict[int, Average] = {}
        self._collecting: dict[int, set[trio.CancelScope]] = {member: set() for member in range(count)}
        self._loose: set[str] = set()
        self._settled = trio.Event()
        self._leader_lost = self._acknowledged = False
        self.failure = ""
        self.ours = False
        """The failure is our own."""
        self.blamed: set[str] = set()
        self._nursery: trio.Nursery

    @property
    def committed(self) -> bool:
        """Whether the list of averages is final."""
        return self._state.stage == "committed"

    @property
    def own_weight(self) -> float:
        """Our own weight in the average, 0 to 1."""
        return self._terms.weights[self.group.own] / sum(self._terms.weights)

    def left(self, peer_id: str) -> None:
        """Take note that a member has gone, if we lead: the others take its place."""
        if self.leading is not None:
            self.leading.lose(self.group.members.index(peer_id))

    async def run(self, limit: float) -> None:
        """Take part until all averages are here and may land, or something fails; for `limit` s at most."""
        with trio.move_on_after(limit) as scope:
            async with trio.open_nursery() as self._nursery:
                if self.leading is not None:
                    self._nursery.start_soon(self.leading.watch)
                    self._nursery.start_soon(self._announce)
                self._nursery.start_soon(self._guarded, self._begin)
                self._nursery.start_soon(self._guarded, self._follow)
                await self._settled.wait()
                self._nursery.cancel_scope.cancel()
        if self.leading is not None:
            self._blame(self.leading.unfit)
        if scope.cancelled_caught:
            if self.leading is not None:
                self._blame(self.leading.owing)
            self._fail(f"not done after {limit:.0f} s")
        self._cut.set()
        for file in self._loose:
            (self._tools.store.folder / file).unlink(missing_ok=True)
        if self.failure:
            await self._say_failure()
        elif self.leading is not None:
            await self._wait_until_heard(self.leading)
        else:
            await self._acknowledge()

    async def _wait_until_heard(self, leading: Leading) -> None:
        with trio.move_on_after(LOST):
            await leading.heard.wait()
        if not leading.heard.is_set():
            leading.revoke()
            self.failure = "nobody else has heard that the averages may land"

    async def _say_failure(self) -> None:
        if self.leading is not None:
            self.leading.give_up()
        elif not self._leader_lost:
            await self._calls.ask(self.group.leads, Leave(invitation=self.group.form.invitation), Noted)

    def averages(self) -> list[str]:
        """Return the files of all averages in the order of the parts; their reader owns them."""
        return [self._tools.store.lend(self._held[part].sha256) for part in sorted(self._held)]

    def release(self) -> None:
        """Serve the others no longer."""
        self._holdings.release()

    async def _guarded(self, work: Callable[..., Awaitable[None]], *arguments: object) -> None:
        """Run a task of this group; what it raises ends our part in the group, and nothing else."""
        try:
            await work(*arguments)
        except LearnerGoneError:
            self._fail("our trainer has ended", ours=True)
        except OSError as error:
            self._fail(f"our disk: {error.strerror}", ours=True)

    def _start(self, work: Callable[..., Awaitable[None]], *arguments: object) -> None:
        self._nursery.start_soon(self._guarded, work, *arguments)

    def _blame(self, members: Iterable[int]) -> None:
        self.blamed.update(self.group.members[member] for member in members if member != self.group.own)

    def _fail(self, reason: str, *, ours: bool = False) -> None:
        if not self._settled.is_set():
            self.failure, self.ours = reason, ours
            self._settled.set()

    # ---- our own share, and the parts that we average

    async def _begin(self) -> None:
        await self._learn_records()
        count = len(self.group.members)
        answer = await self._tools.learner.split(
            self.share.share, count, self._terms.codec, together=self.group.together
        )
        if len(answer.parts) != count:
            self._fail("our share is no longer kept", ours=True)
            return
        self._parts = tuple(self._holdings.add_blob(part) for part in answer.parts)
        self._cut.set()
        self._take(self._state)

    async def _learn_records(self) -> None:
        """Ask the leader for the records of members that we do not know: we could not pull from them."""
        view, members = self._tools.view, self.group.members
        strangers = [members[other] for other in self.group.others if view.contact(members[other]) is None]
        for start in range(0, len(strangers), MAX_RECORDS):
            call = AskRecords(peers=tuple(strangers[start : start + MAX_RECORDS]))
            answer = await self._calls.ask(self.group.leads, call, PeersAre)
            if answer is not None:
                view.learn_all(answer.records)

    async def _average(self, part: int) -> None:
        """Pull one part from every member, average those that came, and tell the leader."""
        files: dict[int, str] = {}
        async with trio.open_nursery() as nursery:
            for member in self.group.others:
                if member not in self._state.lost:
                    nursery.start_soon(self._guarded, self._collect, part, member, files)
        if 2 * (len(files) + 1) <= len(self.group.members):
            self._fail("too few of the others' parts came")
            return
        files[self.group.own] = self._tools.store.lend(self._parts[part].sha256)
        order = sorted(files)
        members = [Member(file=files[member], weight=self._terms.weights[member]) for member in order]
        self._loose.difference_update(files.values())
        answer = await self._tools.learner.reduce(self.share.share, part, members)
        self._blame(order[place] for place in answer.refused if place < len(order))
        if answer.body is None:
            self._fail("our trainer has no average", ours=True)
            return
        ref = self._holdings.add_blob(answer.body)
        self._made[part] = Average(part=part, sha256=ref.sha256, size=ref.size)
        self._hold(self._made[part])
        self._tell_leader()

    async def _collect(self, part: int, member: int, files: dict[int, str]) -> None:
        peer_id = self.group.members[member]
        call = AskPart(group=self.group.id, part=part)
        with trio.CancelScope() as scope:
            self._collecting[member].add(scope)
            file = await self._tools.fetcher.fetch(peer_id, call, self._terms.largest)
            if file is not None:
                files[member] = file
                self._loose.add(file)
        self._collecting[member].discard(scope)

    # ---- the averages of the others

    async def _pull_average(self, average: Average) -> None:
        """Pull an average from its owner or from anybody else, until we hold it or it is listed no more."""
        ref = ObjectRef(sha256=average.sha256, size=average.size)
        while self._pulling.get(average.part) == average:
            for member in self._askable(self._state.owners[average.part]):
                file = await self._tools.fetcher.fetch(self.group.members[member], ref, ref.size)
                if file is not None:
                    self._holdings.add(ref, file)
                    self._hold(average)
                    return
            self._lacks.add(average.part)
            self._blame([self._state.owners[average.part]])
            self._tell_leader()
            await trio.sleep(PAUSE)

    def _askable(self, first: int) -> list[int]:
        """Return the other members: one of them first, those that are lost last."""
        others = self.group.others
        # Each begins with another of them, so that not all ask the same one at once.
        around = others[self.group.own % len(others) :] + others[: self.group.own % len(others)]
        return sorted(around, key=lambda member: (member in self._state.lost, member != first))

    def _hold(self, average: Average) -> None:
        self._lacks.discard(average.part)
        if average in self._state.averages or self._made.get(average.part) == average:
            self._held[average.part] = average
        if self._holds_all():
            self._tell_leader()
        self._look_whether_settled()

    def _holds_all(self) -> bool:
        return len(self._state.averages) == len(self.group.members) and all(
            self._held.get(average.part) == average for average in self._state.averages
        )

    # ---- where the group stands

    def _take(self, state: GroupIs) -> None:
        """Follow the group to where it stands now.

        Raises:
            ProtocolError: the state makes no sense.
        """
        self._check(state)
        if state.version < self._state.version:
            return
        self._state = state
        for member in state.lost:
            for scope in self._collecting[member]:
                scope.cancel()
        if state.stage == "void":
            self._fail("it came to nothing")
        if not self._settled.is_set():
            self._catch_up(state)
        self._look_whether_settled()

    def _catch_up(self, state: GroupIs) -> None:
        listed = {average.part: average for average in state.averages}
        for part in list(self._pulling):
            if listed.get(part) != self._pulling[part]:
                del self._pulling[part]
        for average in listed.values():
            if self._held.get(average.part) != average and self._pulling.get(average.part) != average:
                self._pulling[average.part] = average
                self._lacks.discard(average.part)
                self._start(self._pull_average, average)
        for part, owner in enumerate(state.owners):
            if owner == self.group.own and self._parts and part not in self._averaging | set(listed):
                self._averaging.add(part)
                self._start(self._average, part)

    def _check(self, state: GroupIs) -> None:
        count = len(self.group.members)
        parts = [average.part for average in state.averages]
        sound = (
            len(state.owners) == count
            and max((*state.owners, *state.lost, *parts)) < count
            and len(set(parts)) == len(parts)
            and (state.stage != "committed" or len(parts) == count)
            and all(average.size <= self._terms.largest for average in state.averages)
        )
        if not sound:
            raise ProtocolError("what is said of the group makes no sense")

    def _look_whether_settled(self) -> None:
        if self.committed and self._holds_all():
            self._settled.set()

    def fate(self) -> GroupIs:
        """Return the group as we know it, for a member whose leader is gone."""
        if self.leading is not None:
            return self.leading.state()
        if self._state.stage == "open" and (self._leader_lost or self._settled.is_set()):
            return GroupIs(
                version=self._state.version,
                stage="lost",
                owners=self._state.owners,
                averages=self._state.averages,
                lost=self._state.lost,
            )
        return self._state

    # ---- the leader

    def _news(self) -> Report:
        return Report(
            group=self.group.id,
            seen=self._state.version,
            averages=tuple(self._made.values()),
            holds=self._holds_all(),
            lacks=tuple(sorted(self._lacks)),
        )

    async def _report(self) -> GroupIs | None:
        """Tell the leader where we stand; return where the group does, or None where there is no answer."""
        if self.leading is not None:
            return await self.leading.answer(self.group.own, self._news())
        return await self._calls.ask(self.group.leads, self._news(), GroupIs, patience=LOST / 2)

    async def _follow(self) -> None:
        """Follow the leader until the group is decided, or the leader is gone."""
        try:
            while (state := await self._report_patiently()) is not None:
                self._take(state)
                if state.stage != "open":
                    await self._acknowledge()
                    return
        except ProtocolError:
            pass
        self._leader_lost = True
        self._blame([self.group.leads])
        await self._recover()

    async def _report_patiently(self) -> GroupIs | None:
        """Report until there is an answer, or the leader neither answers nor sends."""
        while True:
            state = await self._report() or await self._report()
            # Where lines are full, the answer may be behind the bulk.
            if state is not None or not self._tools.fetcher.is_sending(self.group.leader):
                return state
            await trio.sleep(PAUSE)

    def _tell_leader(self) -> None:
        """Let the leader hear of our news at once, whatever it has still to answer."""
        if not self._leader_lost and not self._settled.is_set():
            self._start(self._report_once)

    async def _report_once(self) -> None:
        if self.leading is not None:
            self.leading.take(self.group.own, self._news())
        else:
            await self._report()

    async def _acknowledge(self) -> None:
        """Let the leader know that we have heard of the commitment: it waits for that."""
        if self.leading is None and not self._acknowledged and not self._leader_lost:
            self._acknowledged = await self._report() is not None

    async def _announce(self) -> None:
        """Send the list to all members; who does not take it is lost from the start."""
        async with trio.open_nursery() as nursery:
            for member in self.group.others:
                nursery.start_soon(self._send_list, member, self.group.form)

    async def _send_list(self, member: int, form: Form) -> None:
        if await self._calls.ask(member, form, Noted) is None and self.leading is not None:
            self.leading.lose(member)

    async def _recover(self) -> None:
        """Learn from the others what became of the group, once its leader is gone."""
        while True:
            fates = await self._ask_fates()
            for fate in fates:
                if fate.stage == "committed" and self._is_sound(fate):
                    self._take(fate)
                    return
            if not any(fate.stage == "open" for fate in fates):
                self._fail("its leader is gone")
                return
            await trio.sleep(PAUSE)

    async def _ask_fates(self) -> list[GroupIs]:
        asked = [member for member in self.group.others if member != self.group.leads]
        return await self._calls.ask_all(asked, AskFate(group=self.group.id), GroupIs)

    def _is_sound(self, fate: GroupIs) -> bool:
        try:
            self._check(fate)
        except ProtocolError:
            return False
        return fate.version >= self._state.version

    async def serve_part(self, part: int) -> ObjectRef | None:
        """Return one of our parts, once our share is cut; None where there is none."""
        with trio.move_on_after(self._tools.fetcher.deadline):
            await self._cut.wait()
        return self._parts[part] if part < len(self._parts) else None
