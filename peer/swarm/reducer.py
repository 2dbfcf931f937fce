"""Runs the reductions of one peer, answers the other members, and tells how each ended."""

from collections import Counter

import trio

from peer.swarm.deadline import AdaptiveDeadline
from peer.swarm.engagement import OwnShare
from peer.swarm.exchange import ExchangeStatistics, Observer, Outcome
from peer.swarm.gathering import MOMENT
from peer.swarm.group import Group, codec_of, largest_part, weights
from peer.swarm.learner import LearnerGoneError
from peer.swarm.pieces import PieceServer
from peer.swarm.reduction import Reduction, Terms, Tools
from peer.swarm.service import Reply
from protocol.group_calls import AskFate, AskPart, PartIs, Report
from protocol.manifest import Manifest
from protocol.messages import Busy, Pull, Refused
from protocol.trainer import Mixed

LINGER = 60.0
"""Seconds that the averages of a group are served after it has ended for us: others may be slower."""

MEMBERS_PATIENCE = 1.5
"""A member waits so many times as long as its leader for a group's end: the leader calls it off first."""


class Reducer:
    """Brings groups to their end."""

    def __init__(self, tools: Tools, pieces: PieceServer, manifest: Manifest, observer: Observer) -> None:
        self._tools = tools
        self._pieces = pieces
        self._manifest = manifest
        self._observer = observer
        # Two passes over the links, of which nothing is known before the first group.
        self._deadline = AdaptiveDeadline(first=60.0, floor=30.0, ceiling=3600.0)
        self._results: Counter[str] = Counter()
        self._reductions: dict[bytes, Reduction] = {}
        self._bytes_in = self._largest = 0

    async def run(self, group: Group, share: OwnShare) -> Outcome:
        """Take part in a group to its end. Never raises but for cancellation."""
        began, out_before = trio.current_time(), self._pieces.bytes_out
        in_before = self._tools.fetcher.bytes_in
        reduction = Reduction(self._tools, group, share, self._terms(group))
        self._reductions[group.id] = reduction
        limit = self._deadline.seconds
        await reduction.run(limit if reduction.leading is not None else MEMBERS_PATIENCE * limit)
        result, reason, mixed = await self._land(reduction)
        if result == "done":
            self._deadline.observe(trio.current_time() - began)
        elif trio.current_time() - began >= limit:
            self._deadline.overran()
        self._note_others(reduction, done=result == "done")
        outcome = Outcome(
            partner=f"group of {len(group.members)}",
            initiated=reduction.leading is not None,
            outer_step=share.outer_step,
            result=result,
            reason=reason,
            seconds=trio.current_time() - began,
            bytes_in=self._tools.fetcher.bytes_in - in_before,
            bytes_out=self._pieces.bytes_out - out_before,
            mixed=mixed,
            fragment=share.fragment,
            members=group.members,
        )
        self._note(outcome)
        return outcome

    async def _land(self, reduction: Reduction) -> tuple[str, str, Mixed | None]:
        """Return the result, the reason and what the trainer said."""
        if reduction.failure:
            return ("void" if reduction.ours else "failed"), reduction.failure, None
        try:
            # Under no deadline: the average is agreed on, and the trainer takes its time.
            mixed = await self._tools.learner.assemble(
                reduction.share.share, reduction.averages(), reduction.own_weight
            )
        except LearnerGoneError:
            return "void", "our trainer has ended", None
        except OSError as error:
            return "void", f"our disk: {error.strerror}", None
        result = "done" if mixed.accepted else "void" if mixed.ours else "refused"
        return result, mixed.reason, mixed

    def _terms(self, group: Group) -> Terms:
        outer = self._manifest.outer
        return Terms(
            codec=codec_of(self._manifest, together=group.together),
            weights=weights(group, by_tokens=outer.weights == "tokens"),
            largest=largest_part(self._manifest, group.form.fragment, len(group.members)),
        )

    def _note_others(self, reduction: Reduction, *, done: bool) -> None:
        view, group = self._tools.view, reduction.group
        blamed = reduction.blamed
        for peer_id in blamed:
            view.exchanged(peer_id, well=False)
        if done:
            for peer_id in set(group.members) - blamed:
                view.exchanged(peer_id, well=True)

    def _note(self, outcome: Outcome) -> None:
        self._results[outcome.result] += 1
        self._bytes_in += outcome.bytes_in
        self._largest = max(self._largest, outcome.bytes_in + outcome.bytes_out)
        self._observer(outcome)

    async def linger(self, group: Group) -> None:
        """Answer members of a group that has ended for us, for as long as they may still need it."""
        await trio.sleep(LINGER)
        self._reductions.pop(group.id).release()

    # ---- the other members

    def _find(self, caller: str, group: bytes) -> Reduction | None:
        reduction = self._reductions.get(group)
        return reduction if reduction is not None and caller in reduction.group.members else None

    async def serve_pull(self, caller: str, call: Pull) -> Reply:
        """Answer `Pull`: a sign of life too, which may overtake a report where lines are full."""
        for reduction in self._reductions.values():
            if reduction.leading is not None and caller in reduction.group.members:
                reduction.leading.note_alive(reduction.group.members.index(caller))
        return await self._pieces.serve(caller, call)

    async def serve_part(self, caller: str, call: AskPart) -> Reply:
        """Answer `AskPart`."""
        reduction = self._find(caller, call.group)
        if reduction is None:
            # The list may be on its way to us.
            return Busy(seconds=MOMENT)
        ref = await reduction.serve_part(call.part)
        if ref is None:
            return Refused(reason="there is no such part here")
        return PartIs(sha256=ref.sha256, size=ref.size)

    async def serve_report(self, caller: str, call: Report) -> Reply:
        """Answer `Report`, where we lead."""
        reduction = self._find(caller, call.group)
        if reduction is None or reduction.leading is None:
            return Refused(reason="I lead no such group")
        return await reduction.leading.answer(reduction.group.members.index(caller), call)

    async def serve_fate(self, caller: str, call: AskFate) -> Reply:
        """Answer `AskFate`."""
        reduction = self._find(caller, call.group)
        return reduction.fate() if reduction is not None else Refused(reason="I know of no such group")

    def leave(self, caller: str, invitation: bytes) -> None:
        """Take note that a member goes."""
        for reduction in self._reductions.values():
            if reduction.group.form.invitation == invitation and caller in reduction.group.members:
                reduction.left(caller)

    def statistics(self) -> ExchangeStatistics:
        """Counters since the start, and the deadline in force."""
        counts = self._results
        return ExchangeStatistics(
            done=counts["done"],
            failed=counts["failed"] + counts["void"],
            refused=counts["refused"],
            bytes_in=self._bytes_in,
            deadline=self._deadline.seconds,
            largest=self._largest,
        )
