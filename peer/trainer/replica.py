"""One peer's copy of the model, with everything that its training goes on from."""

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from peer.codec.base import CodecError
from peer.codec.registry import get
from peer.errors import TrainerError
from peer.outer import mix
from peer.outer.gate import norm
from peer.outer.ranges import Ranges, gather
from peer.outer.rule import Rule, derive
from peer.outer.step import OuterState, Shared, take_outer_step
from peer.trainer import spool
from peer.trainer.checkpoint import Contents, Counters
from peer.trainer.first_weights import load_first_weights
from peer.trainer.flat import flatten, pieces
from peer.trainer.gradients import Alone, Gradients
from peer.trainer.inner import InnerOptimiser, for_batch, precision
from peer.trainer.order import Position
from peer.trainer.passes import Passes
from peer.trainer.room import is_out_of_memory
from peer.trainer.work import Work
from protocol.fragments import Fragment, due, fragments
from protocol.limits import MAX_STANDING
from protocol.manifest import Manifest, Outer
from protocol.trainer import State

PAIR = 2

FEEDBACK_CODEC = "topk"
"""It leaves so much out that it must be remembered (SparseLoCo, 2508.15706)."""

RAMP = 4
"""Outer steps after its first in which a share comes to count as much as any other's."""

PROBE_WINDOWS = 8
"""Windows of held-out text on which a donor's state is tried, at most a batch of them."""

PROBE_MARGIN = 1.0
"""Nats a token by which a donor's state may do worse than knowing nothing, which is ln V for V tokens. The
first weights are 0.1 nats above that, and even a patchwork of a trained replica and those was 1.9 below."""

MOST_GROWN = 30.0
"""Times the norm of the first weights that a donor's may have. A loss alone says little of a model whose
normalisation undoes any common scale. A run of ours came from 1 to 2.5 in its first hundreds of steps."""

MOST_LOST = 0.05
"""Of what a replica has learned, which is its loss below that of knowing nothing, what a donor's state in its
place may lack: on so little text one that is ahead may look a little worse."""

MAX_COUNT = 1 << 53
"""The most steps or tokens that a donor is believed: enough for ever, and far from overflowing."""


class RefusedStateError(Exception):
    """Why a donor's state is of no use: another donor's may be.

    Attributes:
        ours: it is our own disk that refused.
    """

    def __init__(self, message: str, *, ours: bool = False) -> None:
        super().__init__(message)
        self.ours = ours


def rule_of(outer: Outer) -> Rule:
    """Return the outer rule that a manifest asks for."""
    return derive(
        outer.preset,
        alpha=outer.alpha,
        beta=outer.beta,
        overlap=outer.overlap,
        mixes=outer.mixes,
        group=outer.group,
        fragments=outer.fragments,
        keep=None if outer.landing == "add" else outer.keep,
        by_delay=outer.landing == "blend_by_delay",
        warming=outer.warming,
        weights=outer.weights,
    )


@dataclass(frozen=True, slots=True)
class Boundary:
    """An outer step that was just taken, with what a mix needs of it; all tensors are the fragment's.

    Attributes:
        fragment: whose step it was.
        inner_step: at the boundary.
        outer_step: the number of this outer step.
        where: its place in the flat weights; None where it is the whole model.
        shared: what the rule shares with a partner; empty where a group mixes.
        before: slow weights and momentum before the step; None where pairs mix.
        theta: the fast weights that the step was taken with; None where pairs mix.
        tokens: trained since the fragment's outer step before.
        standing: what the share of this step counts for, 0 to `MAX_STANDING`.
    """

    fragment: Fragment
    inner_step: int
    outer_step: int
    where: Ranges | None
    shared: Shared
    before: OuterState | None
    theta: Tensor | None
    tokens: int
    standing: int


@dataclass(slots=True)
class LastStep:
    """The last outer step of one fragment.

    Attributes:
        outer_step: its number; 0 before the first.
        untouched: nothing was mixed since, so that the slow weights are those that the step made.
    """

    outer_step: int = 0
    untouched: bool = True


class Replica:
    """Starts from the manifest's seed; `restore` and `adopt` put it elsewhere.

    Attributes:
        rule: the run's outer rule.
        fragments: the parts of the model that take their outer steps apart.
        batch: sequences of one inner step.
        net: the model on its device; its parameters are views of `theta`.
        theta: the fast weights, flat fp32.
        passes: of batches through `net`.
        gradients: who computes them; whole batches in this process where nobody says otherwise.
        inner: the inner optimiser.
        outer: slow weights and outer momentum, flat fp32; None where the rule has no outer optimiser.
        residual: what lossy shares have left out so far, flat fp32; None without error feedback.
        counters: how far it has come.
        last_steps: of each fragment, since this process began.
    """

    def __init__(
        self,
        manifest: Manifest,
        work: Work,
        device: torch.device,
        batch: int | None = None,
    ) -> None:
        self._manifest = manifest
        self._work = work
        self.rule = rule_of(manifest.outer)
        self.fragments = fragments(manifest)
        self.batch = batch or manifest.inner.batch
        self.net = work.net.to(device)
        self.theta = flatten(self.net)
        self.passes = Passes(self.net, device, precision(manifest.inner, device))
        self.gradients: Gradients = Alone(self.passes, device)
        self.inner = InnerOptimiser(self.net, self.theta, for_batch(manifest.inner, self.batch))
        self.outer = None if self.rule.optimiser == "none" else OuterState.create(self.theta)
        self.residual = torch.zeros_like(self.theta) if manifest.codecs[0] == FEEDBACK_CODEC else None
        self.counters = Counters()
        self.last_steps = [LastStep() for _ in self.fragments]
        self._stepped_at = [0] * len(self.fragments)
        """Tokens at each fragment's last outer step."""
        self._unsettled: set[int] = set()
        self._came_at: int | None = None
        """The inner step at which it came from elsewhere, or back; None where it was there from the first."""

    @property
    def due(self) -> Fragment | None:
        """The fragment whose outer step follows the last inner step, if any."""
        return due(self.fragments, self._manifest.outer.every, self.counters.inner_step)

    @property
    def tokens_per_step(self) -> int:
        """Tokens of one inner step."""
        return self.batch * self._work.tokens

    @property
    def lacks(self) -> str | None:
        """Why the next inner step has to wait for its data, in plain words; None where it is here."""
        return self._work.feed.lacks(self.counters.position, self.batch)

    def steps_since(self, fragment: Fragment) -> int:
        """Return the inner steps since the fragment's outer step was due last."""
        return (self.counters.inner_step - fragment.offset) % self._manifest.outer.every

    def where(self, fragment: Fragment) -> Ranges | None:
        """Return the fragment's place in the flat weights; None for the whole model."""
        return fragment.ranges if len(self.fragments) > 1 else None

    def take_inner_step(self) -> Tensor:
        """Train on the next batch and return its loss, nats a token, an fp32 scalar on the device."""
        now = self.counters
        examples, position = self._work.feed.take(now.position, self.batch)
        loss = self.gradients.of(examples, now.inner_step, now.own_steps)
        self.inner.step(now.inner_step, now.own_steps)
        self.counters = Counters(
            inner_step=now.inner_step + 1,
            outer_step=now.outer_step,
            tokens=now.tokens + self.tokens_per_step,
            own_steps=now.own_steps + 1,
            position=position,
        )
        return loss

    def take_outer_step(self, fragment: Fragment) -> Boundary | None:
        """Take the outer step of a fragment; None where the rule has none."""
        if self.outer is None:
            return None
        # Blended only now, where the exchange of the step before has still not ended.
        self.settle(fragment, delay=1.0)
        where, before, theta = self.where(fragment), None, None
        if self.rule.group > PAIR:
            before = OuterState(gather(self.outer.phi, where), gather(self.outer.momentum, where))
            theta = gather(self.theta, where)
        now = self.counters
        shared = take_outer_step(self._rule_of(now.outer_step), self.outer, self.theta, where)
        self.counters = Counters(now.inner_step, now.outer_step + 1, now.tokens, now.own_steps, now.position)
        tokens = now.tokens - self._stepped_at[fragment.index]
        self._stepped_at[fragment.index] = now.tokens
        if self.rule.keep is not None:
            self._unsettled.add(fragment.index)
        self.last_steps[fragment.index] = LastStep(self.counters.outer_step)
        return Boundary(
            fragment,
            self.counters.inner_step,
            self.counters.outer_step,
            where,
            () if before else shared,
            before,
            theta,
            tokens,
            self._standing_now(),
        )

    def _standing_now(self) -> int:
        """Return what the share of the outer step that is being taken counts for.

        Who comes from elsewhere (a donor's state, a checkpoint of some time ago) has been away from the
        swarm: at first it takes what its partners have, and gives nothing.
        """
        if self._came_at is None:
            return MAX_STANDING
        outer_steps = (self.counters.inner_step - self._came_at) // self._manifest.outer.every
        return MAX_STANDING * min(max(outer_steps - 1, 0), RAMP) // RAMP

    def was_away(self) -> None:
        """Say that the others have taken outer steps without us: our next shares count for less at first."""
        self._came_at = self.counters.inner_step

    def settle(self, fragment: Fragment, delay: float | None = None) -> None:
        """Say that the exchange of the fragment's last outer step has ended; where mixes blend, blend now.

        Args:
            fragment: whose.
            delay: since its boundary, in times between two outer steps; None for as long as it is now.
        """
        if self.outer is not None and fragment.index in self._unsettled:
            self._unsettled.discard(fragment.index)
            if delay is None:
                delay = self.steps_since(fragment) / self._manifest.outer.every
            rule = self.rule.landing_after(delay)
            mix.settle(rule, self.outer, self.theta, self.where(fragment))

    def landing(self, inner_step: int, outer_step: int) -> Rule:
        """Return the rule by which a mix lands now whose outer step was that one, at that inner step."""
        late = self.counters.inner_step - inner_step
        return self._rule_of(outer_step - 1).landing_after(late / self._manifest.outer.every)

    def _rule_of(self, outer_steps: int) -> Rule:
        """Return the rule after so many outer steps, each fragment's counted for itself."""
        return self.rule.after(outer_steps // len(self.fragments))

    def contents(self) -> Contents:
        """Return what a checkpoint holds; the tensors are the live ones.

        Raises:
            TrainerError: the weights are not finite, so going on from them would be pointless.
        """
        if not bool(self.theta.isfinite().all()):
            raise self.diverged()
        state = {
            "inner.first": self.inner.first,
            "inner.second": self.inner.second,
            "random": torch.get_rng_state(),
            "outer.stepped_at": torch.tensor(self._stepped_at, dtype=torch.int64),
        }
        if self.outer is not None:
            state |= {"outer.phi": self.outer.phi, "outer.momentum": self.outer.momentum}
        if self.residual is not None:
            state["outer.residual"] = self.residual
        if self.rule.keep is not None:
            state["outer.unsettled"] = torch.tensor(sorted(self._unsettled), dtype=torch.int64)
        state |= self._work.place()
        return Contents(self.counters, pieces(self.net, self.theta), state)

    @torch.no_grad()
    def begin(self, weights: Path | None) -> None:
        """Start with the run's first weights: from the file `weights` where the manifest names one.

        Raises:
            CheckpointError: the file is missing, or not what the manifest names.
        """
        load_first_weights(self._manifest.model, weights, self.net)
        if self.outer is not None:
            self.outer.phi.copy_(self.theta)

    @torch.no_grad()
    def restore(self, contents: Contents) -> None:
        """Go on from a checkpoint of the same run, bit for bit where the device computes the same twice."""
        self._put(contents.weights)
        state = contents.state
        self.inner.restore(state["inner.first"], state["inner.second"], contents.counters.own_steps)
        if self.outer is not None:
            self.outer.phi.copy_(state["outer.phi"])
            self.outer.momentum.copy_(state["outer.momentum"])
        if self.residual is not None and "outer.residual" in state:
            self.residual.copy_(state["outer.residual"])
        self._unsettled = set(state["outer.unsettled"].tolist()) if self.rule.keep is not None else set()
        torch.set_rng_state(state["random"])
        self._work.resume(state)
        self.counters = contents.counters
        self._stepped_at = state["outer.stepped_at"].tolist()
        self._came_at = contents.counters.inner_step
        # Exchanges that were under way when this was saved will not end any more.
        for fragment in self.fragments:
            self.settle(fragment)

    def _put(self, weights: dict[str, Tensor]) -> None:
        for name, piece in pieces(self.net, self.theta).items():
            piece.copy_(weights[name])

    @torch.no_grad()
    def adopt(self, state: State, file: Path, ours: Contents | None = None) -> None:
        """Start as a newcomer where its donors stood: φ and m are theirs, θ = φ, Adam's state is fresh.

        Args:
            state: how far they were.
            file: φ and m.
            ours: what we have, where we were left behind: the place in the data is kept.

        Raises:
            RefusedStateError: the file is not of this model, or what is in it cannot be trained on: it does
                worse on held-out text than knowing nothing, or would once momentum has carried it on. Or it
                is no further than `ours`, or does worse. The replica is then of no use.
        """
        if not all(0 <= count <= MAX_COUNT for count in (state.inner_step, state.outer_step, state.tokens)):
            raise RefusedStateError("the donor's state counts below 0 or beyond reason")
        if ours is not None and state.inner_step <= ours.counters.inner_step:
            raise RefusedStateError(f"the donor's state is of step {state.inner_step}, which we have passed")
        momentum = torch.empty_like(self.theta) if self.outer is None else self.outer.momentum
        began = norm(self.theta)
        if self._manifest.task:
            # A plug-in's weights may all begin at zero: they have room as if they began at 1.
            began = max(began, math.sqrt(self.theta.numel()))
        most, most_loss = MOST_GROWN * began, self._most_loss(ours)
        try:
            spool.read(file, get("fp32"), (self.theta, momentum))
        except (CodecError, OSError) as error:
            raise RefusedStateError(f"the donor's state is of no use: {error}") from error
        if not norm(momentum) <= norm(self.theta) <= most:
            raise RefusedStateError(
                f"the donor's state has weights of norm {norm(self.theta):.3g} and momentum of norm "
                f"{norm(momentum):.3g}: at most {most:.3g} make sense, and no more momentum than weights"
            )
        if self.outer is not None:
            self.outer.phi.copy_(self.theta)
            self._probe_outer(self.outer)
        self._probe("the donor's state", most_loss)
        position = Position() if ours is None else ours.counters.position
        if ours is not None:
            self._work.resume(ours.state)
        self.counters = Counters(state.inner_step, state.outer_step, state.tokens, position=position)
        self._stepped_at = [state.tokens] * len(self.fragments)
        self._came_at = state.inner_step

    def _probe_outer(self, outer: OuterState) -> None:
        """Try the weights to which the next outer step would come if nothing were learned until then."""
        rates = self.rule.coefficients
        self.theta.add_(outer.momentum, alpha=rates.decay * rates.carry)
        self._probe("where its momentum carries it, the donor's state", self._most_loss(None))
        self.theta.copy_(outer.phi)

    def _most_loss(self, ours: Contents | None) -> float:
        """Return the loss above which a donor's weights are of no use; this overwrites the weights."""
        chance = self._work.chance
        most = chance + PROBE_MARGIN
        if ours is None:
            return most
        self._put(ours.weights)
        loss = self._held_out_loss()
        return min(most, loss + MOST_LOST * (chance - loss))  # the first, where ours is no number

    def _probe(self, what: str, most: float) -> None:
        """Try the weights.

        Raises:
            RefusedStateError: they do worse than `most`.
        """
        loss = self._held_out_loss()
        if not loss <= most:  # also where it is no number
            raise RefusedStateError(
                f"{what} has a loss of {loss:.3g} nats on held-out text, where {most:.3g} is the most"
            )

    def _held_out_loss(self) -> float:
        try:
            return self._work.test(self.net, min(PROBE_WINDOWS, self.batch))
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
        # How many windows fit at once is found only with the first batch.
        return self._work.test(self.net, 1)

    def diverged(self) -> TrainerError:
        """Return the error that says that the weights are of no use any more."""
        return TrainerError(
            f"training diverged: at inner step {self.counters.inner_step} the weights are not finite",
            "Start a run with a lower inner.learning_rate or a longer inner.warmup.",
        )
