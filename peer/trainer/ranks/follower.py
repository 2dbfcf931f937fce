"""A rank other than 0: a process that has a net and an inner optimiser, and does what rank 0 says."""

import logging
from contextlib import suppress
from pathlib import Path

import torch

from peer.errors import PeerError
from peer.trainer import session
from peer.trainer.device import give_back_cache
from peer.trainer.equipment import Equipment
from peer.trainer.flat import flatten
from peer.trainer.inner import InnerOptimiser, for_batch, held_in, precision
from peer.trainer.parts import size
from peer.trainer.passes import Passes
from peer.trainer.ranks import failure
from peer.trainer.ranks.folder import meeting
from peer.trainer.ranks.team import Team
from peer.trainer.ranks.turn import Turn
from peer.trainer.ranks.words import Leave, Rest, State, Step, Weights
from peer.trainer.work import Places, load_net
from protocol.trainer import Begin

_log = logging.getLogger(__name__)


def follow(rank: int, begin: Begin, folder: Path) -> int:
    """Follow rank 0 until it says that training has ended, and return the exit code."""
    session.log(f"rank {rank}: ")
    try:
        _follow(rank, begin, folder)
    except PeerError as error:
        _log.error("%s", error)
        with suppress(OSError):
            failure.write(folder, rank, error)
        return error.code
    except Exception:  # noqa: BLE001 - whatever it is, the others must not wait for us
        _log.exception("this rank ends, and all others with it")
        return 1
    return 0


def _follow(rank: int, begin: Begin, folder: Path) -> None:
    equipment = Equipment.of(begin)
    device, manifest = equipment.take(begin, rank), begin.manifest
    team = Team.join(rank, len(equipment.devices), device, meeting(folder))
    net = load_net(manifest, Places.of(begin), held_in(manifest.inner, device)).to(device)
    theta = flatten(net)
    inner = InnerOptimiser(net, theta, for_batch(manifest.inner, begin.sequences))
    # What is shared with other peers is rank 0's business, and the memory for it.
    fitting = equipment.fitting(begin, rank, weights=0)
    turn = Turn(team, net, Passes(net, device, precision(manifest.inner, device)), fitting)
    while not isinstance(word := team.hear(), Leave):
        match word:
            case State():
                team.spread(theta, inner.first, inner.second)
                inner.restore(inner.first, inner.second, word.own_steps)
                # Dropout is to fall on other places than on other ranks, and than before a restart.
                torch.manual_seed((rank << 32) + word.own_steps)
            case Weights():
                team.spread(theta)
            case Step():
                examples = team.take(word)
                fitting.most = word.most
                with fitting.heeding(-(-size(examples) // team.size)):
                    turn.gradient(examples)
                inner.step(word.step, word.own_step)
            case Rest():
                give_back_cache(device)
    team.leave()
