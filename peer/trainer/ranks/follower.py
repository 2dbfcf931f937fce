"""A rank other than 0: a process that has a net and an inner optimiser, and does what rank 0 says."""

import logging
import multiprocessing
import os
import signal
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch

from peer.errors import PeerError
from peer.trainer.device import give_back_cache
from peer.trainer.equipment import Equipment
from peer.trainer.flat import flatten
from peer.trainer.inner import InnerOptimiser, for_batch, held_in, precision
from peer.trainer.parts import size
from peer.trainer.passes import Passes
from peer.trainer.ranks import failure
from peer.trainer.ranks.team import Team
from peer.trainer.ranks.turn import Turn
from peer.trainer.ranks.words import Leave, Rest, State, Step, Weights
from peer.trainer.work import Places, load_net
from protocol.trainer import Begin

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Order:
    """What a follower is told when it is started.

    Attributes:
        begin: what the daemon asked for.
        meeting: file where the ranks meet.
        threads: of the CPU for each rank.
    """

    begin: Begin
    meeting: Path
    threads: int


def follow(index: int, order: Order) -> None:
    """Follow rank 0 until it says that training has ended; the process then ends."""
    rank = index + 1
    # As for rank 0: only the daemon decides when training ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    logging.basicConfig(
        level=logging.INFO, format=f"rank {rank}: %(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    torch.set_num_threads(order.threads)
    # Python's own end would take seconds to clear up, and might wait for the others.
    os._exit(_code(rank, order))


def _code(rank: int, order: Order) -> int:
    """Follow, and return the exit code."""
    try:
        _follow(rank, order)
    except PeerError as error:
        _log.error("%s", error)
        with suppress(OSError):
            failure.write(order.meeting, rank, error)
        return error.code
    except Exception:  # noqa: BLE001 - whatever it is, the others must not wait for us
        _log.exception("this rank ends, and all others with it")
        return 1
    return 0


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _follow(rank: int, order: Order) -> None:
    begin = order.begin
    equipment = Equipment.of(begin)
    device, manifest = equipment.take(begin, rank), begin.manifest
    team = Team.join(rank, len(equipment.devices), device, order.meeting)
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
