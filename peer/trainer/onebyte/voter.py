"""One peer's model in a `onebyte` run: measures slopes, casts them as votes, and counts everybody's."""

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from peer.errors import TrainerError
from peer.trainer.checkpoint import Contents, Counters
from peer.trainer.device import upload
from peer.trainer.feed import Batch
from peer.trainer.fitting import Fitting
from peer.trainer.flat import flatten, pieces
from peer.trainer.onebyte.slopes import Slopes, measure
from peer.trainer.onebyte.tally import Tally
from peer.trainer.passes import mean_loss
from peer.trainer.work import Work
from protocol.manifest import Manifest
from protocol.trainer import Log
from protocol.votes import direction_key, longest_log, to_byte

KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Ballot:
    """The votes of one step.

    Attributes:
        start: their position in our log.
        votes: a byte each; zeros in front where the log before ends within a step.
        loss: nats a token, an fp32 scalar on the device.
    """

    start: int
    votes: bytes
    loss: Tensor


class Voter:
    """Stands at the first weights, which the work's model holds; `restore` and `count` move it.

    Attributes:
        net: the model on its device; its parameters are views of `theta`.
        theta: the weights that all counted votes make, flat fp32.
        counters: how far it has come; its inner steps are those of its own log.
        fitting: how many examples pass at once; None where all of a batch do.
    """

    def __init__(
        self, manifest: Manifest, work: Work, voter: bytes, device: torch.device, batch: int | None = None
    ) -> None:
        self._manifest = manifest
        self._work = work
        self._voter = voter
        self._batch = batch or manifest.inner.batch
        self.net = work.net.to(device)
        self.theta = flatten(self.net)
        self._tally = Tally(manifest, self.theta.clone())
        self.fitting: Fitting | None = None
        self.counters = Counters()

    @property
    def last_step(self) -> int:
        """Steps for which our log has room."""
        return longest_log(self._manifest.inner, self._manifest.onebyte.samples) // self._samples

    @property
    def votes(self) -> int:
        """Votes that are in the weights."""
        return sum(map(len, self._tally.logs.values()))

    @property
    def own_log(self) -> bytes:
        """The votes that we have cast."""
        return self._tally.logs.get(self._voter, b"")

    @property
    def tokens_per_step(self) -> int:
        """Tokens of one batch, on which all directions of a step are measured."""
        return self._batch * self._work.tokens

    @property
    def lacks(self) -> str | None:
        """Why the next step has to wait for its data, in plain words; None where it is here."""
        return self._work.feed.lacks(self.counters.position, self._batch)

    @property
    def _samples(self) -> int:
        return self._manifest.onebyte.samples

    def cast(self) -> Ballot:
        """Take one step on the next batch: measure along our next directions, and count what we find.

        Raises:
            TrainerError: the losses are not finite.
        """
        manifest, now = self._manifest, self.counters
        examples, position = self._work.feed.take(now.position, self._batch)
        start = now.inner_step * self._samples
        keys = [direction_key(manifest.seed, self._voter, start + i) for i in range(self._samples)]
        slopes = self._measure(examples, keys)
        if not slopes.loss.isfinite():
            raise TrainerError(
                f"training diverged: at step {now.inner_step} the loss is not finite",
                "Start a run with a lower onebyte.learning_rate",
            )
        self.counters = Counters(
            inner_step=now.inner_step + 1,
            tokens=now.tokens + self.tokens_per_step,
            own_steps=now.own_steps + 1,
            position=position,
        )
        votes = bytes(to_byte(slope, manifest.inner.clip) for slope in slopes.slopes)
        held = len(self.own_log)
        ballot = Ballot(held, bytes(start - held) + votes, slopes.loss)
        self._count([Log(voter=self._voter, start=ballot.start, votes=ballot.votes)])
        return ballot

    def _measure(self, examples: Batch, keys: list[int]) -> Slopes:
        if self.fitting is None:
            return self._measure_by(None, examples, keys)
        trials = _Trials(self)
        return self.fitting.within(examples, trials, lambda most: self._measure_by(most, examples, keys))

    def _measure_by(self, most: int | None, examples: Batch, keys: list[int]) -> Slopes:
        """Measure with so many examples in one pass."""
        batch, epsilon = upload(examples, self.theta.device), self._manifest.onebyte.epsilon
        loss = partial(mean_loss, self.net, most=most)
        return measure(loss, self.theta, batch, keys, epsilon, self.precision)

    @property
    def precision(self) -> AbstractContextManager[object]:
        """Context in which losses are computed."""
        # Two losses often differ by less than bf16 resolves: only a manifest that asks for it gets it.
        coarse = self._manifest.inner.precision == "bf16"
        return torch.autocast(self.theta.device.type, torch.bfloat16) if coarse else nullcontext()

    def count(self, news: Iterable[Log]) -> None:
        """Count others' votes, or ours from before a restart, and stand where our log ends."""
        self._count(news)
        steps = -(-len(self.own_log) // self._samples)
        now = self.counters
        self.counters = Counters(
            inner_step=steps, tokens=now.tokens, own_steps=now.own_steps, position=now.position
        )

    def count_exactly(self, ledger: Iterable[Log]) -> None:
        """Count these whole logs, and withdraw every vote that is not among them."""
        logs = tuple(ledger)
        named = {log.voter for log in logs}
        gone = (Log(voter=voter, start=0, votes=b"") for voter in self._tally.logs if voter not in named)
        self.count([*logs, *gone])

    def _count(self, news: Iterable[Log]) -> None:
        self._tally.take(news)
        self.rewrite()

    def rewrite(self) -> None:
        """Write the weights anew."""
        self._tally.write_weights(self.theta)

    def contents(self) -> Contents:
        """Return what a checkpoint holds; the tensors are the live ones."""
        logs = self._tally.logs
        state = {
            "votes.total": self._tally.total,
            "votes.voters": _bytes(b"".join(logs)),
            "votes.lengths": torch.tensor([len(votes) for votes in logs.values()], dtype=torch.int64),
            "votes.logs": _bytes(b"".join(logs.values())),
        }
        state |= self._work.place()
        return Contents(self.counters, pieces(self.net, self.theta), state)

    def restore(self, contents: Contents) -> None:
        """Go on from a checkpoint of the same run."""
        state, start = contents.state, 0
        voters = bytes(state["votes.voters"].tolist())
        logs = bytes(state["votes.logs"].tolist())
        self._tally.total.copy_(state["votes.total"])
        self._tally.logs.clear()
        for i, length in enumerate(state["votes.lengths"].tolist()):
            self._tally.logs[voters[i * KEY_BYTES : (i + 1) * KEY_BYTES]] = logs[start : start + length]
            start += length
        self._tally.write_weights(self.theta)
        self._work.resume(state)
        self.counters = contents.counters


class _Trials:
    """Passes that only try whether they fit: a step measures without gradients."""

    def __init__(self, voter: Voter) -> None:
        self._voter = voter

    @torch.no_grad()
    def gradient(self, examples: Batch) -> Tensor:
        """See `Trials`."""
        with self._voter.precision:
            loss: Tensor = self._voter.net(upload(examples, self._voter.theta.device))
        return loss

    def forget(self) -> None:
        """See `Trials`: a measurement that did not end has left the weights beside their place."""
        self._voter.rewrite()


def _bytes(data: bytes) -> Tensor:
    return torch.tensor(list(data), dtype=torch.uint8)
