"""Turns what the swarm side and the trainer tell into events and into the numbers that metrics show."""

import time
from collections import Counter, deque
from pathlib import Path

import trio

from peer.swarm.exchange import Outcome
from peer.swarm.horizon import Split
from peer.swarm.reachability import ReachStatistics
from peer.swarm.refusals import Refusal, kind_of
from peer.telemetry import behind_events, events
from peer.telemetry.histogram import Histogram
from peer.telemetry.history import History
from peer.telemetry.log import Log
from peer.telemetry.statistics import CheckpointStatistics
from protocol import trainer as ipc
from protocol.control import LONGEST_REASON, MOST_EXCHANGES, Exchanged
from protocol.fetching import Fetched


class Reporter:
    """The swarm's observer and the reader of the trainer's messages.

    Attributes:
        progress: the living trainer's last word on how far it is; None before the first.
        ready: what the trainer said when it began; None while there is none.
        fitted: how many sequences pass through its device at once; None before its first step.
        last_mix: the last answer to a partner's share.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self._alone_since: float | None = None
        self.progress: ipc.Progress | None = None
        self.ready: ipc.Ready | None = None
        self.fitted: ipc.Fitted | None = None
        self.last_mix: ipc.Mixed | None = None
        self._stands_at: ipc.Ready | ipc.Progress | None = None
        self.last_partner: str | None = None
        """Whose share was mixed last."""
        self.codec = ""
        self.exchange_seconds = Histogram()
        self.losses = History()
        """The training loss over the whole run."""
        self.recent: deque[Exchanged] = deque(maxlen=MOST_EXCHANGES)
        """The last exchanges, the newest last."""
        self.tokens_per_step: float | None = None
        """Tokens of one inner step; None before the first."""
        self._loss_since, self._steps_since = 0.0, 0
        self._progress_at = 0.0
        self.refusals: Counter[Refusal] = Counter()
        """Partners' shares that were not fit to mix."""
        self._written = self._unwritten = 0
        self.fetched = 0
        """Bytes that the trainers have fetched by themselves since the daemon started."""

    # ---- from the swarm side

    def exchange_ended(self, outcome: Outcome) -> None:
        """See `Observer`."""
        self.recent.append(_exchanged(outcome))
        if outcome.mixed is not None:
            self.last_mix = outcome.mixed
        if outcome.result == "done" and outcome.mixed is not None:
            self.exchange_seconds.observe(outcome.seconds)
            self.last_partner = outcome.partner
            self._log(
                events.ExchangeDone(
                    partner=outcome.partner,
                    seconds=outcome.seconds,
                    bytes_in=outcome.bytes_in,
                    bytes_out=outcome.bytes_out,
                    distance=outcome.mixed.distance,
                    relative_distance=outcome.mixed.relative_distance,
                    outer_step=outcome.outer_step,
                    initiated=outcome.initiated,
                    fragment=outcome.fragment,
                    late_by=outcome.mixed.late_by,
                    choice=outcome.choice,
                )
            )
        else:
            kind = events.MixRefused if outcome.result == "refused" else events.ExchangeFailed
            if outcome.result == "refused":
                self.refusals[kind_of(outcome.reason)] += 1
            self._log(kind(partner=outcome.partner, outer_step=outcome.outer_step, reason=outcome.reason))

    def skipped(self, outer_step: int, reason: str) -> None:
        """See `Observer`."""
        self._log(events.Skipped(outer_step=outer_step, reason=reason))

    def peer_changed(self, peer_id: str, what: str) -> None:
        """See `Observer`."""
        if what == "seen":
            self._log(events.PeerSeen(peer=peer_id))
        else:
            self._log(events.PeerGone(peer=peer_id, reason=what))

    def manifest_refused(self, peer_id: str, fields: list[str]) -> None:
        """See `Observer`."""
        self._log(events.ManifestRefused(peer=peer_id, fields=tuple(fields)))

    def state_served(self, peer_id: str, size: int) -> None:
        """See `Observer`."""
        self._log(events.StateServed(peer=peer_id, size=size))

    def fell_behind(self, outer_steps: int) -> None:
        """See `catching_up.Observer`."""
        self._log(behind_events.FellBehind(outer_steps=outer_steps))

    def caught_up(self, outer_steps: int, seconds: float) -> None:
        """See `catching_up.Observer`."""
        self._log(behind_events.CaughtUp(outer_steps=outer_steps, seconds=seconds))

    def stayed_behind(self, outer_steps: int, reason: str) -> None:
        """See `catching_up.Observer`."""
        self._log(behind_events.StayedBehind(outer_steps=outer_steps, reason=reason))

    def split_noticed(self, split: Split) -> None:
        """See `Observer`."""
        self._log(events.SplitNoticed(peer=split.peer, ours=split.ours, theirs=split.theirs))

    def reach_changed(self, reach: ReachStatistics) -> None:
        """See `Observer`."""
        self._log(
            events.ReachChanged(
                reachable=reach.verdict.reachable,
                nat=reach.verdict.nat,
                addresses=reach.announced,
                circuits=reach.circuits,
                relaying=reach.relaying,
            )
        )

    def alone(self, seconds: float, patience: float) -> None:
        """Say once that we have been alone for longer than `patience`, and once that it is over."""
        if self._alone_since is None and seconds >= patience:
            self._alone_since = trio.current_time() - seconds
            self._log(events.Alone())
        elif self._alone_since is not None and not seconds:
            self._log(events.NoLongerAlone(seconds=trio.current_time() - self._alone_since))
            self._alone_since = None

    # ---- from the trainer

    def heard(self, message: ipc.FromTrainer) -> None:
        """Take in a message of the trainer."""
        match message:
            case ipc.Ready():
                self.ready = self._stands_at = message
                self.losses.go_back(message.inner_step)
                self._log(
                    events.TrainerStarted(
                        device=message.device,
                        parameters=message.parameters,
                        inner_step=message.inner_step,
                        resumed=message.resumed,
                        name=message.name,
                        memory=message.memory,
                        ranks=message.ranks,
                        unused=message.unused,
                    )
                )
            case ipc.Fitted():
                self.fitted = message
                self._log(
                    events.BatchFitted(micro_batch=message.micro_batch, batch=message.batch, how=message.how)
                )
            case Fetched():
                self.fetched += message.size
            case ipc.Progress():
                self._note(message)
                self.progress = self._stands_at = message
                self._progress_at = time.monotonic()
            case ipc.Share():
                self.codec = message.codec
                if message.fresh:
                    self._log(
                        events.ShareReady(
                            outer_step=message.outer_step,
                            inner_step=message.inner_step,
                            codec=message.codec,
                            size=message.body.size if message.body else 0,
                            fragment=message.fragment,
                            loss=self.progress.loss if self.progress else None,
                        )
                    )
            case ipc.Checkpointed():
                self._written += 1
                self._log(
                    events.Checkpointed(
                        inner_step=message.inner_step, path=message.path, seconds=message.seconds
                    )
                )
            case ipc.CheckpointFailed():
                self._unwritten += 1
                self._log(events.CheckpointFailed(inner_step=message.inner_step, reason=message.reason))
            case ipc.ShareFailed():
                self._log(events.ShareFailed(outer_step=message.outer_step, reason=message.reason))
            case _:
                pass

    def _note(self, message: ipc.Progress) -> None:
        steps, tokens = message.inner_step - self.inner_step, message.tokens - self.tokens
        self.losses.note(message.inner_step, message.loss, max(steps, 1))
        self._loss_since += message.loss * max(steps, 1)
        self._steps_since += max(steps, 1)
        if steps > 0:
            self.tokens_per_step = tokens / steps

    def trainer_died(self, code: int, restarts: int, said: str, log: Path) -> None:
        """Say that the trainer ended unasked, and where its words are."""
        self.ready = self.fitted = self.progress = None
        self._log(events.TrainerDied(code=code, restarts=restarts, said=said, log=str(log)))

    @property
    def checkpoints(self) -> CheckpointStatistics:
        """Checkpoints that the trainer wrote, and could not write, since the daemon started."""
        return CheckpointStatistics(written=self._written, failed=self._unwritten)

    # ---- where training stands

    @property
    def inner_step(self) -> int:
        """The last inner step that is known; a dead trainer's, until the next goes back to its checkpoint."""
        return self._stands_at.inner_step if self._stands_at else 0

    def take_loss(self) -> float | None:
        """Return the mean loss of the inner steps since the last time; None where there were none."""
        total, steps = self._loss_since, self._steps_since
        self._loss_since, self._steps_since = 0.0, 0
        return total / steps if steps else None

    @property
    def pace(self) -> float | None:
        """Seconds of an inner step, at the pace that the trainer told last; None before it told one."""
        if self.progress is None or not self.tokens_per_step or not self.progress.tokens_per_second:
            return None
        return self.tokens_per_step / self.progress.tokens_per_second

    @property
    def next_boundary(self) -> float | None:
        """Seconds to the next outer step at the pace that the trainer told last; None before it told one."""
        if self.progress is None:
            return None
        return max(self.progress.next_boundary - (time.monotonic() - self._progress_at), 0.0)

    @property
    def loss(self) -> float | None:
        """The training loss that was told last, perhaps before a restart; None where there was none."""
        if self.progress is not None:
            return self.progress.loss
        points = self.losses.points()
        return points[-1][1] if points else None

    @property
    def ranks(self) -> int:
        """Processes that share an inner step; 1 where it is not known yet."""
        return self.ready.ranks if self.ready else 1

    @property
    def micro_batch(self) -> int | None:
        """Sequences that pass through a device at once; None where it is not known."""
        return self.fitted.micro_batch if self.fitted else None

    @property
    def outer_step(self) -> int:
        """The last outer step that is known."""
        return self._stands_at.outer_step if self._stands_at else 0

    @property
    def tokens(self) -> int:
        """Tokens trained, as far as is known."""
        return self._stands_at.tokens if self._stands_at else 0


def _exchanged(outcome: Outcome) -> Exchanged:
    return Exchanged(
        time=time.time(),
        partner=outcome.partner,
        result=outcome.result,
        reason=outcome.reason[:LONGEST_REASON],
        seconds=outcome.seconds,
        bytes_in=outcome.bytes_in,
        bytes_out=outcome.bytes_out,
        relative_distance=outcome.mixed.relative_distance if outcome.mixed else None,
        outer_step=outcome.outer_step,
        fragment=outcome.fragment,
    )
