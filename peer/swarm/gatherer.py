"""Finds a group for each fresh share: says that it is ready, waits while it is worth it, invites or joins."""

import secrets
from collections import Counter
from contextlib import suppress

import trio

from peer.swarm.calls import RefusedError, ask
from peer.swarm.deadline import AdaptiveDeadline
from peer.swarm.engagement import OwnShare
from peer.swarm.gathering import UNKNOWN, Gathering
from peer.swarm.group import Group, open_group
from peer.swarm.learner import Learner, LearnerGoneError
from peer.swarm.matchmaker import MatchStatistics, SkipObserver, Started
from peer.swarm.reducer import Reducer
from peer.swarm.service import Reply, Service
from peer.swarm.transport import Contact, Transport, TransportError
from peer.swarm.view import View
from protocol.errors import ProtocolError
from protocol.group_calls import (
    AskFate,
    AskPart,
    AskRecords,
    Form,
    GroupMember,
    Invite,
    Joins,
    Leave,
    Ready,
    Report,
)
from protocol.limits import MAX_GROUP
from protocol.manifest import Outer
from protocol.messages import Busy, Noted, PeersAre, Pull, Refused

ATTEMPTS = 3
"""Groups that one share may enter: one that fails costs its members another try, three cost them a skip."""

PROMISED = 8.0
"""Seconds to wait for the list after an invitation: it comes once the slowest guest has answered."""


class Gatherer:
    """Drives one peer's gatherings, one for each fragment, in the place of a `Matchmaker`."""

    def __init__(
        self,
        transport: Transport,
        run_id: bytes,
        view: View,
        reducer: Reducer,
        learner: Learner,
        outer: Outer,
        *,
        on_skip: SkipObserver,
    ) -> None:
        self._transport = transport
        self._run_id = run_id
        self._view = view
        self._reducer = reducer
        self._learner = learner
        self._most = outer.group
        self._on_skip = on_skip
        self._own_id = transport.peer_id
        self._gatherings = tuple(
            Gathering(self._own_id, fragment, waits=not outer.overlap) for fragment in range(outer.fragments)
        )
        # Dialling and three round trips: 5 s for the first, which knows no link yet.
        self._answering = AdaptiveDeadline(first=5.0, floor=1.0, ceiling=10.0)
        self._invitations = self._busy_answers = 0
        self._skips: Counter[str] = Counter()
        self._nursery: trio.Nursery
        self._left = trio.Event()
        self.resting = ""
        """See `Pairing.resting`."""

    # ---- what the trainer says

    def new_share(self, share: OwnShare) -> None:
        """Seek a group for a share made at a boundary; one that a mix has refreshed is of no use here."""
        if share.fresh:
            self._gatherings[share.fragment].new_share(share)
        if self.resting:
            self._gatherings[share.fragment].rest()

    def withdraw(self) -> None:
        """Seek no more groups for the shares that there are."""
        for gathering in self._gatherings:
            gathering.withdraw()

    def rest(self, why: str) -> None:
        """See `Pairing.rest`."""
        self.resting = why
        for gathering in self._gatherings:
            gathering.rest()

    def wake(self) -> None:
        """See `Pairing.wake`."""
        self.resting = ""

    async def wait_idle(self) -> None:
        """Wait until we are in no group."""
        while any(gathering.group is not None for gathering in self._gatherings):
            await self._left.wait()

    def forget(self) -> None:
        """Seek no more: the trainer is gone, and will repeat its outer steps."""
        self.withdraw()

    @property
    def next_boundary(self) -> float:
        """Seconds to our next outer step, for the others."""
        return self._gatherings[0].next_boundary

    @next_boundary.setter
    def next_boundary(self, seconds: float) -> None:
        for gathering in self._gatherings:
            gathering.next_boundary = min(seconds, UNKNOWN)

    def register(self, service: Service) -> None:
        """Answer what the other members ask."""
        service.serve(Ready, self.serve_ready)
        service.serve(Invite, self.serve_invite)
        service.serve(Form, self.serve_form)
        service.serve(Leave, self.serve_leave)
        service.serve(AskRecords, self.serve_records)
        service.serve(Pull, self._reducer.serve_pull)
        service.serve(AskPart, self._reducer.serve_part)
        service.serve(Report, self._reducer.serve_report)
        service.serve(AskFate, self._reducer.serve_fate)

    # ---- from a share to a mix

    async def run(self, *, task_status: Started = trio.TASK_STATUS_IGNORED) -> None:
        """Seek groups until cancelled."""
        async with trio.open_nursery() as self._nursery:
            task_status.started()
            for gathering in self._gatherings:
                self._nursery.start_soon(self._attend, gathering)

    async def _attend(self, gathering: Gathering) -> None:
        while True:
            shares = gathering.take_shares()
            if not shares:
                await gathering.wait_change()
                continue
            for overtaken in shares[:-1]:
                await self._skip(overtaken, "overtaken by the next outer step")
            await self._settle(gathering, shares[-1])
            gathering.settle()

    async def _settle(self, gathering: Gathering, share: OwnShare) -> None:
        reason = "nobody else is here"
        for _ in range(ATTEMPTS):
            if gathering.share is not share:
                break
            if self._view.live():
                reason = "nobody else was ready"
            group = await self._seek(gathering, share)
            if group is None:
                break
            outcome = await self._reducer.run(group, share)
            self._nursery.start_soon(self._reducer.linger, group)
            gathering.leave_group()
            left, self._left = self._left, trio.Event()
            left.set()
            if outcome.mixed is not None:
                if outcome.result != "done":
                    break
                return
            reason = "the group failed"
            if outcome.result == "void":
                break
        await self._skip(share, reason)

    async def _skip(self, share: OwnShare, reason: str) -> None:
        reason = self.resting or reason
        self._skips[reason] += 1
        self._on_skip(share.outer_step, reason)
        with suppress(LearnerGoneError):
            await self._learner.no_mix(share.share)

    async def _seek(self, gathering: Gathering, share: OwnShare) -> Group | None:
        """Return the group that a share goes into, or None where there is none worth waiting for."""
        gathering.begin()
        async with trio.open_nursery() as nursery:
            told: set[str] = set()
            self._tell_new(gathering, told, nursery)
            nursery.start_soon(self._keep_telling, gathering, told, nursery)
            await self._gather(gathering, share)
            nursery.cancel_scope.cancel()
        gathering.end()
        return gathering.group

    async def _gather(self, gathering: Gathering, share: OwnShare) -> None:
        """Wait, invite and join until we are in a group, or it is not worth going on."""
        closed: float | None = None
        while gathering.group is None and gathering.share is share:
            live, now = self._willing(), trio.current_time()
            if gathering.promise is not None:
                wait = gathering.promise.deadline
                if wait <= now:
                    self._view.exchanged(gathering.promise.leader, well=False)
                    gathering.promise = None
                    continue
            elif (until := gathering.waits_until(live)) > now:
                closed, wait = None, until
            elif not gathering.ready(live):
                return
            else:
                closed = now if closed is None else closed
                wait = closed + gathering.turn(live)
                if wait <= now:
                    await self._invite(gathering, share, gathering.ready(live))
                    closed = None
                    continue
            with trio.move_on_at(wait):
                await gathering.wait_change()

    def _willing(self) -> list[str]:
        return [contact.peer_id for contact in self._view.willing()]

    # ---- telling the others that we are ready

    def _tell_new(self, gathering: Gathering, told: set[str], nursery: trio.Nursery) -> None:
        """Tell the peers in view that have not been told, `MAX_GROUP` in all at the most."""
        fresh = [contact for contact in self._view.willing() if contact.peer_id not in told]
        for contact in self._view.rng.sample(fresh, max(min(len(fresh), MAX_GROUP - len(told)), 0)):
            told.add(contact.peer_id)
            gathering.ask(contact.peer_id)
            nursery.start_soon(self._tell, gathering, contact)

    async def _keep_telling(self, gathering: Gathering, told: set[str], nursery: trio.Nursery) -> None:
        while True:
            await self._view.wait_change()
            self._tell_new(gathering, told, nursery)
            gathering.notify()

    async def _tell(self, gathering: Gathering, contact: Contact) -> None:
        answer = await self._ask(contact, Ready(fragment=gathering.fragment), Noted, Busy)
        if isinstance(answer, Busy):
            gathering.note_due(contact.peer_id, answer.seconds)
        elif answer is None:
            gathering.note_gone(contact.peer_id)
        else:
            gathering.note_ready(contact.peer_id)

    async def serve_ready(self, caller: str, call: Ready) -> Reply:
        """Answer `Ready`."""
        gathering = self._find(call.fragment)
        if gathering is None:
            return Refused(reason="this run has no such fragment")
        self._view.answered(caller)
        if self._view.contact(caller) is not None and not self._view.avoided(caller):
            gathering.note_ready(caller)
            if gathering.open:
                return Noted()
        return Busy(seconds=gathering.due(caller))

    # ---- inviting

    async def _invite(self, gathering: Gathering, share: OwnShare, ready: list[str]) -> None:
        """Invite those who are ready; whoever joins us is in the group that we lead."""
        invite = Invite(invitation=secrets.token_bytes(16), fragment=gathering.fragment)
        guests = self._view.rng.sample(ready, len(ready))
        joined: dict[str, Joins] = {}
        with trio.CancelScope() as gathering.inviting:
            # For those who have gone with another, others may come.
            while guests and (places := self._most - 1 - len(joined)):
                async with trio.open_nursery() as nursery:
                    for guest in guests[:places]:
                        nursery.start_soon(self._invite_one, gathering, guest, invite, joined)
                del guests[:places]
        gathering.inviting = None
        if gathering.promise is not None or gathering.share is not share:
            # A smaller PeerID has invited us meanwhile, or our share is gone.
            for guest in joined:
                self._nursery.start_soon(self._call_off, guest, invite)
        elif joined:
            gathering.lead(self._form(share, invite, joined))

    def _form(self, share: OwnShare, invite: Invite, joined: dict[str, Joins]) -> Group:
        said = {**joined, self._own_id: _joins(share)}
        members = tuple(
            GroupMember(peer_id=peer, tokens=said[peer].tokens, standing=said[peer].standing)
            for peer in sorted(said)
        )
        alike = {one.reference for one in said.values()} == {share.reference}
        form = Form(
            invitation=invite.invitation,
            fragment=invite.fragment,
            members=members,
            reference=share.reference if alike else None,
        )
        group = open_group(form, self._own_id, self._own_id, _joins(share), self._most)
        if isinstance(group, str):
            raise RuntimeError(group)  # noqa: TRY004 - a bug of ours, not a type
        return group

    async def _invite_one(
        self, gathering: Gathering, guest: str, invite: Invite, joined: dict[str, Joins]
    ) -> None:
        contact = self._view.contact(guest)
        answer = await self._ask(contact, invite, Joins, Busy) if contact is not None else None
        self._invitations += 1
        if isinstance(answer, Joins):
            joined[guest] = answer
        elif isinstance(answer, Busy):
            self._busy_answers += 1
            gathering.note_due(guest, answer.seconds)
        else:
            gathering.note_gone(guest)

    async def _call_off(self, guest: str, invite: Invite) -> None:
        contact = self._view.contact(guest)
        if contact is not None:
            await self._ask(contact, Leave(invitation=invite.invitation), Noted)

    async def serve_invite(self, caller: str, call: Invite) -> Reply:
        """Answer `Invite`."""
        gathering = self._find(call.fragment)
        if gathering is None:
            return Refused(reason="this run has no such fragment")
        known = self._view.contact(caller) is not None and not self._view.avoided(caller)
        share = gathering.share
        if share is None or not known or not gathering.join(caller, call.invitation, PROMISED):
            return Busy(seconds=gathering.due(caller))
        return _joins(share)

    async def serve_form(self, caller: str, call: Form) -> Reply:
        """Answer `Form`: enter the group, if it is the one that we joined and the list is sound."""
        gathering = self._find(call.fragment)
        if gathering is None or gathering.share is None:
            return Refused(reason="I have nothing to average")
        group = open_group(call, caller, self._own_id, _joins(gathering.share), self._most)
        if isinstance(group, str):
            return Refused(reason=group)
        return Noted() if gathering.enter(group) else Refused(reason="I have not joined you, or no longer")

    async def serve_leave(self, caller: str, call: Leave) -> Reply:
        """Answer `Leave`."""
        for gathering in self._gatherings:
            gathering.call_off(caller, call.invitation)
        self._reducer.leave(caller, call.invitation)
        return Noted()

    async def serve_records(self, caller: str, call: AskRecords) -> Reply:
        """Answer `AskRecords`."""
        del caller
        return PeersAre(records=tuple(self._view.records(call.peers)))

    def _find(self, fragment: int) -> Gathering | None:
        return self._gatherings[fragment] if fragment < len(self._gatherings) else None

    async def _ask(self, contact: Contact, call: Ready | Invite | Leave, *kinds: type) -> object:
        """Ask a peer; None where there is no good answer."""
        began = trio.current_time()
        with trio.move_on_after(self._answering.seconds):
            try:
                answer: object = await ask(self._transport, contact, self._run_id, call, *kinds)
            except RefusedError:
                return None
            except (TransportError, ProtocolError):
                self._view.missed(contact.peer_id)
                return None
            self._answering.observe(trio.current_time() - began)
            self._view.answered(contact.peer_id)
            return answer
        self._view.missed(contact.peer_id)
        return None

    def statistics(self) -> MatchStatistics:
        """Counters since the start."""
        groups = [gathering.group for gathering in self._gatherings if gathering.group is not None]
        return MatchStatistics(
            offers=self._invitations,
            busy_answers=self._busy_answers,
            skips=dict(self._skips),
            patience=self._gatherings[0].lateness.seconds,
            partner=f"group of {len(groups[0].members)}" if groups else None,
        )


def _joins(share: OwnShare) -> Joins:
    """Return what a member says of its share."""
    return Joins(tokens=share.tokens, standing=share.standing, reference=share.reference)
