"""A swarm of replicas in one process, on a clock of inner steps."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from dataclasses import replace as replace_
from random import Random
from statistics import fmean

import torch
from msgspec.structs import replace
from torch import Tensor

from benchmarks.convergence.arm import Arm
from benchmarks.convergence.learner import Learner, Loss, Snapshot, Stream
from benchmarks.convergence.partners import Group, groups
from benchmarks.convergence.setting import Setting
from benchmarks.convergence.wire import Wire
from peer.outer import mix
from peer.outer.ranges import Ranges, gather, views
from peer.outer.rule import Rule, Share
from peer.outer.step import OuterState, Shared, take_outer_step
from protocol.fragments import fragments

SHARDS = 64


@dataclass
class Member:
    """One replica with its outer state, and its share of each fragment that may still be mixed."""

    learner: Learner
    stream: Stream
    speed: float
    state: OuterState
    steps: int = 0
    open: dict[int, Shared] = field(default_factory=dict)
    references: dict[int, Shared] = field(default_factory=dict)
    mixes_left: dict[int, int] = field(default_factory=dict)
    outer_steps: dict[int, int] = field(default_factory=dict)
    stepped_at: dict[int, int] = field(default_factory=dict)
    taken: dict[int, int] = field(default_factory=dict)
    """Inner steps between the last two outer steps of each fragment."""
    group: dict[int, int] = field(default_factory=dict)
    """Number of the group whose average each fragment was in last; those who have it alike began alike."""


@dataclass(frozen=True)
class Landing:
    """A correction under way, or, without one, the end of an outer step's exchange."""

    due: int
    member: int
    fragment: int
    rule: Rule
    correction: mix.Correction | None


class Swarm:
    """The replicas of one arm.

    Attributes:
        members: the replicas.
        wire: what their shares have gone through.
        ticks: length of the run on the clock: inner steps of the fastest replica.
    """

    def __init__(
        self, arm: Arm, setting: Setting, start: Snapshot, texts: list[Tensor], loss: Loss | None
    ) -> None:
        self._arm, self._setting = arm, setting
        self._random = Random(f"{setting.seed} partners")
        self._drops = Random(f"{setting.seed} drops")
        self.wire = Wire(arm.codec, setting.seed)
        self._fragments = self._cut()
        self._flying: list[Landing] = []
        self._number = self._groups = 0
        self._began = setting.warm // arm.every
        speeds = arm.speeds or (1.0,) * arm.replicas
        self.members = []
        for i, speed in enumerate(speeds):
            learner = Learner(setting.manifest, loss)
            learner.restore(start)
            mine = [texts[i * len(texts) // arm.replicas]] if arm.shards == "by source" else texts
            stream = Stream(mine, SHARDS, i, setting.seed, setting.context)
            self.members.append(Member(learner, stream, speed, OuterState.create(learner.theta)))
        self._mean_speed = sum(speeds) / len(speeds)
        self.ticks = round(setting.steps / self._mean_speed)
        self.tick = 0

    def advance(self) -> None:
        """Let the clock tick once: train, land what is due, take the outer steps that are due, and mix."""
        self.tick += 1
        before = [member.steps for member in self.members]
        for member in self.members:
            self._train(member)
        self._land()
        for fragment, (offset, _) in enumerate(self._fragments):
            ready = [i for i in range(len(self.members)) if self._is_due(i, before[i], offset)]
            if ready and self._arm.rule.shares:
                self._outer_step(fragment, ready)
        self._land()

    def finish(self) -> None:
        """Land everything that is under way."""
        self.tick += 10**9
        self._land()

    def spread(self) -> float:
        """Return the root mean square distance of the replicas' weights from their mean."""
        weights = torch.stack([member.learner.theta for member in self.members])
        return float((weights - weights.mean(0)).square().mean().sqrt())

    def average(self, *, slow: bool = False) -> Tensor:
        """Return the mean of the replicas' fast, or slow, weights."""
        weights = [member.state.phi if slow else member.learner.theta for member in self.members]
        return torch.stack(weights).mean(0)

    def _cut(self) -> list[tuple[int, Ranges | None]]:
        rule, setting = self._arm.rule, self._setting
        if rule.fragments == 1:
            return [(0, None)]
        outer = replace(setting.manifest.outer, every=self._arm.every, fragments=rule.fragments or 2)
        cut = fragments(replace(setting.manifest, outer=outer))
        return [(fragment.offset, fragment.ranges) for fragment in cut]

    def _train(self, member: Member) -> None:
        setting = self._setting
        while member.steps < int(self.tick * member.speed + 1e-9):
            step = setting.warm + int(member.steps / member.speed * self._mean_speed)
            member.learner.take_step(member.stream.take(setting.batch), step)
            member.steps += 1

    def _land(self) -> None:
        due = [landing for landing in self._flying if landing.due <= self.tick]
        self._flying = [landing for landing in self._flying if landing.due > self.tick]
        for landing in due:
            member, where = self.members[landing.member], self._fragments[landing.fragment][1]
            theta = member.learner.theta
            if landing.correction is None:
                mix.settle(landing.rule, member.state, theta, where)
            else:
                mix.apply(landing.rule, member.state, theta, landing.correction, where)

    def _is_due(self, i: int, before: int, offset: int) -> bool:
        steps = self.members[i].steps
        if self._arm.boundaries == "clock":
            return (self.tick - offset) % self._arm.every == 0
        return steps > before and (steps - offset) % self._arm.every == 0

    def _outer_step(self, fragment: int, ready: Sequence[int]) -> None:
        arm, where = self._arm, self._fragments[fragment][1]
        self._count_steps(fragment, ready)
        for i in ready:
            member = self.members[i]
            if self.wire.codes_updates:
                member.references[fragment] = (gather(member.state.phi, where),)
            member.outer_steps[fragment] = member.outer_steps.get(fragment, self._began) + 1
            rule = self._rule(member, fragment)
            member.open[fragment] = take_outer_step(rule, member.state, member.learner.theta, where)
            member.mixes_left[fragment] = rule.mixes
            self._land_later(i, fragment, rule, None)
        self.wire.next_outer_step(fragment, ready)
        formed = groups(arm.partners, ready, arm.replicas, self._number, arm.rounds, self._random)
        self._number += 1
        for group in formed:
            if all(self.members[i].mixes_left.get(fragment, 0) > 0 for i in group):
                self._mix(fragment, group)

    def _count_steps(self, fragment: int, ready: Sequence[int]) -> None:
        """Note how many inner steps led to this outer step; normalise what they did where the arm asks."""
        members = [self.members[i] for i in ready]
        for member in members:
            member.taken[fragment] = member.steps - member.stepped_at.get(fragment, 0)
            member.stepped_at[fragment] = member.steps
        if not self._arm.normalise:
            return
        where, mean = self._fragments[fragment][1], fmean(member.taken[fragment] for member in members)
        for member in members:
            runs = zip(views(member.learner.theta, where), views(member.state.phi, where), strict=True)
            for fast, slow in runs:
                fast.sub_(slow).mul_(mean / member.taken[fragment]).add_(slow)

    def _mix(self, fragment: int, group: Group) -> None:
        present = self._present(group)
        for i in set(group) - set(present):
            self.members[i].group[fragment] = self._new_group()
        if len(present) < 2:
            return
        members = [self.members[i] for i in present]
        shares = self._arm.rule.shares
        if len(group) == 2:
            corrections = self._mix_pair(fragment, present)
        else:
            shares, corrections = self._mix_group(fragment, present)
        for i, member, correction in zip(present, members, corrections, strict=True):
            if shares == self._arm.rule.shares:
                mix.refresh(member.open[fragment], correction)
            member.mixes_left[fragment] -= 1
            rule = replace_(self._rule(member, fragment), shares=shares)
            self._land_later(i, fragment, rule, correction)

    def _rule(self, member: Member, fragment: int) -> Rule:
        """Return the rule of the member's last outer step."""
        return self._arm.rule.after(member.outer_steps[fragment] - 1)

    def _land_later(self, i: int, fragment: int, rule: Rule, correction: mix.Correction | None) -> None:
        late = rule.landing_after(self._arm.delay / self._arm.every)
        self._flying.append(Landing(self.tick + self._arm.delay, i, fragment, late, correction))

    def _new_group(self) -> int:
        self._groups += 1
        return self._groups

    def _mix_pair(self, fragment: int, pair: Group) -> list[mix.Correction]:
        one, other = pair
        shares = [self.members[i].open[fragment] for i in pair]
        first, second = self.wire.pair(one, other, shares[0], shares[1], fragment)
        exact = self._arm.own == "exact"
        return [
            mix.correction(shares[0] if exact else first, second),
            mix.correction(shares[1] if exact else second, first),
        ]

    def _mix_group(self, fragment: int, group: Group) -> tuple[tuple[Share, ...], list[mix.Correction]]:
        """Average θ where all began the outer step alike, else φ and m after it, as daemons do."""
        where, shared = self._fragments[fragment][1], self._arm.rule.shares
        members = [self.members[i] for i in group]
        together = len({member.group.get(fragment, 0) for member in members}) == 1
        if together:
            shares = [member.open[fragment] for member in members]
            references = [member.references[fragment] for member in members if member.references]
        else:
            shared, references = ("phi", "momentum"), []
            shares = [
                (gather(member.state.phi, where), gather(member.state.momentum, where)) for member in members
            ]
        by_tokens = self._arm.rule.weights == "tokens"
        weights = [member.taken[fragment] if by_tokens else 1.0 for member in members]
        mean = self.wire.reduce(group, shares, references or None, weights, fragment)
        number = self._new_group()
        for member in members:
            member.group[fragment] = number
        return shared, [mix.correction(share, mean, weight=1.0) for share in shares]

    def _present(self, group: Group) -> Group:
        """Leave out those whose part fails; a pair fails as a whole."""
        if not self._arm.drop:
            return group
        if len(group) == 2:
            return group if self._drops.random() >= self._arm.drop else ()
        return tuple(i for i in group if self._drops.random() >= self._arm.drop)
