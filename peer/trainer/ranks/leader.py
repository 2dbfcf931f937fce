"""Rank 0: the trainer that speaks with the daemon, with followers for its other devices."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from peer.trainer.device import give_back_cache
from peer.trainer.feed import Batch
from peer.trainer.fitting import Fitting
from peer.trainer.ranks.patience import Patience
from peer.trainer.ranks.team import Team
from peer.trainer.ranks.turn import Turn
from peer.trainer.ranks.words import Leave, Rest, State, Step, Weights, describe
from peer.trainer.replica import Replica


class Led:
    """The gradients of a replica whose batches are computed by all ranks. See `Gradients`.

    All that a peer is besides stays with rank 0: data, slow weights, shares, checkpoints. The others get the
    fast weights anew whenever something else than an inner step has changed them here.
    """

    def __init__(self, team: Team, replica: Replica, fitting: Fitting, patience: Patience) -> None:
        self._team = team
        self._patience = patience
        self._theta = replica.theta
        self._fitting = fitting
        self._turn = Turn(team, replica.net, replica.passes, fitting)
        team.say(State(own_steps=replica.counters.own_steps))
        team.spread(replica.theta, replica.inner.first, replica.inner.second)
        self._told = self._version

    @property
    def _version(self) -> int:
        # Inner steps change the parameters, which count for themselves: this counts all other changes,
        # wherever they are made.
        return self._theta._version  # noqa: SLF001 - autograd's own, and documented

    def of(self, examples: Batch, step: int, own_step: int) -> Tensor:
        """See `Gradients`.

        Raises:
            RuntimeError: memory has run out on a device: it is the end of all ranks.
        """
        with self._patience.stepping():
            return self._of(examples, step, own_step)

    def _of(self, examples: Batch, step: int, own_step: int) -> Tensor:
        team = self._team
        if self._version != self._told:
            team.say(Weights())
            team.spread(self._theta)
            self._told = self._version
        kind, layout = describe(examples)
        team.say(Step(kind=kind, layout=layout, most=self._fitting.most, step=step, own_step=own_step))
        team.give(examples)
        return self._turn.gradient(examples)

    def rest(self) -> None:
        """See `Gradients`."""
        self._team.say(Rest())
        give_back_cache(self._theta.device)


class Leader:
    """Rank 0 before training begins, and after it has ended."""

    def __init__(self, devices: tuple[torch.device, ...], meeting: Path) -> None:
        self._devices = devices
        self._meeting = meeting
        self._patience = Patience()
        self._team: Team | None = None
        threading.Thread(target=self._patience.watch, name="patience", daemon=True).start()

    def lead(self, replica: Replica, fitting: Fitting) -> Led:
        """Wait until all others are here, and have them begin where the replica stands."""
        with self._patience.waiting():
            self._team = Team.join(0, len(self._devices), self._devices[0], self._meeting)
            return Led(self._team, replica, fitting, self._patience)

    def dismiss(self) -> None:
        """Tell the others that training has ended."""
        if self._team is not None:
            self._team.say(Leave())
            self._team.leave()


@contextmanager
def leading(devices: tuple[torch.device, ...], meeting: Path) -> Iterator[Leader]:
    """Lead those who wait in a file, a rank for each device but the first."""
    leader = Leader(devices, meeting)
    yield leader
    leader.dismiss()
