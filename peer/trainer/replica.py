"""One peer's copy of the model, with everything that its training goes on from."""

from pathlib import Path

import torch
from torch import Tensor

from peer.codec.base import CodecError
from peer.codec.registry import get
from peer.errors import TrainerError
from peer.outer.rule import Rule, derive
from peer.outer.step import OuterState, Shared, take_outer_step
from peer.trainer import data, spool
from peer.trainer.checkpoint import Contents, Counters
from peer.trainer.device import upload
from peer.trainer.flat import flatten, pieces
from peer.trainer.inner import InnerOptimiser, precision
from peer.trainer.model import build
from peer.trainer.order import Order
from protocol.manifest import Manifest, Outer
from protocol.trainer import State

MAX_COUNT = 1 << 53
"""The most steps or tokens that a donor is believed: enough for ever, and far from overflowing."""


class RefusedStateError(Exception):
    """Why a donor's state is of no use: another donor's may be."""


def rule_of(outer: Outer) -> Rule:
    """Return the outer rule that a manifest asks for."""
    return derive(outer.preset, alpha=outer.alpha, beta=outer.beta, overlap=outer.overlap, mixes=outer.mixes)


class Replica:
    """Starts from the manifest's seed; `restore` and `adopt` put it elsewhere.

    Attributes:
        rule: the run's outer rule.
        net: the model on its device; its parameters are views of `theta`.
        theta: the fast weights, flat fp32.
        outer: slow weights and outer momentum, flat fp32; None where the rule has no outer optimiser.
        counters: how far it has come.
    """

    def __init__(self, manifest: Manifest, corpus: data.Corpus, shard: int, device: torch.device) -> None:
        self._manifest = manifest
        self._training = corpus.training
        self._precision = precision(manifest.inner, device)
        self._device = device
        windows = data.window_count(corpus.training, manifest.model.context)
        self._order = Order(windows, manifest.data.shards, shard, manifest.seed)
        self.rule = rule_of(manifest.outer)
        self.net = build(manifest.model, manifest.tokenizer.vocabulary, manifest.seed).to(device)
        self.theta = flatten(self.net)
        self._inner = InnerOptimiser(self.net, self.theta, manifest.inner)
        self.outer = None if self.rule.optimiser == "none" else OuterState.create(self.theta)
        self.counters = Counters()

    @property
    def at_boundary(self) -> bool:
        """Whether the last inner step was the H-th since the last boundary."""
        return self.counters.inner_step % self._manifest.outer.every == 0

    def take_inner_step(self) -> Tensor:
        """Train on the next batch and return its loss, nats a token, an fp32 scalar on the device."""
        now, context = self.counters, self._manifest.model.context
        windows, position = self._order.take(now.position, self._manifest.inner.batch)
        tokens = upload(data.batch(self._training, windows, context), self._device)
        with self._precision:
            loss: Tensor = self.net(tokens)
        torch.autograd.backward(loss)
        self._inner.step(now.inner_step, now.own_steps)
        self.counters = Counters(
            inner_step=now.inner_step + 1,
            outer_step=now.outer_step,
            tokens=now.tokens + len(windows) * context,
            own_steps=now.own_steps + 1,
            position=position,
        )
        return loss.detach()

    def take_outer_step(self) -> Shared:
        """Take the outer step of a boundary and return snapshots of what the rule shares, if anything."""
        if self.outer is None:
            return ()
        shared = take_outer_step(self.rule, self.outer, self.theta)
        now = self.counters
        self.counters = Counters(now.inner_step, now.outer_step + 1, now.tokens, now.own_steps, now.position)
        return shared

    def contents(self) -> Contents:
        """Return what a checkpoint holds; the tensors are the live ones.

        Raises:
            TrainerError: the weights are not finite, so going on from them would be pointless.
        """
        if not bool(self.theta.isfinite().all()):
            raise self.diverged()
        state = {
            "inner.first": self._inner.first,
            "inner.second": self._inner.second,
            "random": torch.get_rng_state(),
        }
        if self.outer is not None:
            state |= {"outer.phi": self.outer.phi, "outer.momentum": self.outer.momentum}
        return Contents(self.counters, pieces(self.net, self.theta), state)

    @torch.no_grad()
    def restore(self, contents: Contents) -> None:
        """Go on from a checkpoint of the same run, bit for bit where the device computes the same twice."""
        for name, piece in pieces(self.net, self.theta).items():
            piece.copy_(contents.weights[name])
        state = contents.state
        self._inner.restore(state["inner.first"], state["inner.second"], contents.counters.own_steps)
        if self.outer is not None:
            self.outer.phi.copy_(state["outer.phi"])
            self.outer.momentum.copy_(state["outer.momentum"])
        torch.set_rng_state(state["random"])
        self.counters = contents.counters

    @torch.no_grad()
    def adopt(self, state: State, file: Path) -> None:
        """Start as a newcomer where a donor stood: φ and m are the donor's, θ = φ, Adam's state is fresh.

        Raises:
            RefusedStateError: the file is not of this model, or what is in it cannot be trained on. The
                replica is then of no use.
        """
        if not all(0 <= count <= MAX_COUNT for count in (state.inner_step, state.outer_step, state.tokens)):
            raise RefusedStateError("the donor's state counts below 0 or beyond reason")
        momentum = torch.empty_like(self.theta) if self.outer is None else self.outer.momentum
        try:
            spool.read(file, get("fp32"), (self.theta, momentum))
        except (CodecError, OSError) as error:
            raise RefusedStateError(f"the donor's state is of no use: {error}") from error
        if self.outer is not None:
            self.outer.phi.copy_(self.theta)
        self.counters = Counters(state.inner_step, state.outer_step, state.tokens)

    def diverged(self) -> TrainerError:
        """Return the error that says that the weights are of no use any more."""
        return TrainerError(
            f"training diverged: at inner step {self.counters.inner_step} the weights are not finite",
            "Start a run with a lower inner.learning_rate or a longer inner.warmup.",
        )
