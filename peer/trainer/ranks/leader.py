"""Rank 0: the trainer that speaks with the daemon, with followers for its other devices."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from peer.trainer.device import give_back_cache
from peer.trainer.feed import Batch
from peer.trainer.fitting import Fitting
from peer.trainer.ranks.followers import Followers
from peer.trainer.ranks.patience import Patience
from peer.trainer.ranks.team import Team
from peer.trainer.ranks.turn import Turn
from peer.trainer.ranks.words import Leave, Rest, State, Step, Weights, describe
from peer.trainer.replica import Replica
from protocol.trainer import Begin, Failed


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

    def __init__(self, devices: tuple[torch.device, ...], followers: Followers) -> None:
        self._devices = devices
        self._followers = followers
        self._team: Team | None = None

    def lead(self, replica: Replica, fitting: Fitting) -> Led:
        """Wait until all followers are here, and have them begin where the replica stands."""
        followers = self._followers
        with followers.patience.waiting():
            self._team = Team.join(0, len(self._devices), self._devices[0], followers.meeting)
            return Led(self._team, replica, fitting, followers.patience)

    def dismiss(self) -> None:
        """Tell the followers that training has ended."""
        self._followers.may_end()
        if self._team is not None:
            self._team.say(Leave())
            self._team.leave()


@contextmanager
def leading(
    begin: Begin, devices: tuple[torch.device, ...], tell: Callable[[Failed], None]
) -> Iterator[Leader]:
    """Have a follower for each device but the first; `tell` is as for `Followers.started`."""
    with Followers.started(begin, len(devices) - 1, tell) as followers:
        leader = Leader(devices, followers)
        yield leader
        leader.dismiss()
