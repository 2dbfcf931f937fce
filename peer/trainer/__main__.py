"""`python -m peer.trainer --socket FD`: the trainer process, which only a daemon starts."""

import argparse
import logging
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from peer.errors import HomeError, PeerError
from peer.trainer import checkpoint
from peer.trainer.checkpoints import Checkpoints
from peer.trainer.equipment import Equipment
from peer.trainer.gradients import Alone
from peer.trainer.inner import held_in
from peer.trainer.link import Closed, Link
from peer.trainer.loop import Loop
from peer.trainer.onebyte import train as onebyte
from peer.trainer.replica import RefusedStateError, Replica
from peer.trainer.work import Places, load
from protocol.codec import digest, encode
from protocol.trainer import Begin, Failed, Finish, StateRefused, Waiting

if TYPE_CHECKING:
    from peer.trainer.ranks.leader import Leader


def train(link: Link, begin: Begin) -> None:
    """Build what `begin` asks for, say `Ready`, and train until the end.

    Raises:
        PeerError: something that a person can mend: data, first weights, device, disk, a run that diverged.
        RefusedStateError: the donor's state is of no use.
    """
    if begin.manifest.outer.preset == "onebyte":
        onebyte.train(link, begin)
        return
    equipment = Equipment.of(begin)
    device = equipment.take(begin)
    with _leading(link, begin, equipment) as leader, _loaded(link, begin, device) as replica:
        checkpoints, resumed = _place(link, begin, replica)
        fitting = equipment.fitting(begin, 0, replica.theta.nbytes, link.send)
        if leader is None:
            replica.gradients = Alone(replica.passes, device, fitting)
        else:
            replica.gradients = leader.lead(replica, fitting)
        link.send(equipment.ready(replica.theta.numel(), replica.counters, resumed=resumed))
        loop = Loop(link, begin.manifest, replica, checkpoints, Path(begin.spool), begin.stop_at)
        with fitting.heeding(-(-replica.batch // len(equipment.devices))):
            loop.run()


def _leading(link: Link, begin: Begin, equipment: Equipment) -> AbstractContextManager["Leader | None"]:
    """Start a follower for each further device."""
    if len(equipment.devices) == 1:
        return nullcontext()
    from peer.trainer.ranks.leader import leading

    return leading(begin, equipment.devices, link.send)


@contextmanager
def _loaded(link: Link, begin: Begin, device: torch.device) -> Iterator[Replica]:
    """Give the replica with the run's first weights, and the data that it trains on."""
    manifest = begin.manifest
    frozen = held_in(manifest.inner, device)
    work = load(manifest, Places.of(begin), begin.shard, frozen, lambda why: link.send(Waiting(reason=why)))
    with closing(work.feed):
        yield Replica(manifest, work, device, begin.batch)


def _place(link: Link, begin: Begin, replica: Replica) -> tuple[Checkpoints, bool]:
    """Bring the replica where it is to start; return its checkpoints, and whether it goes on from one."""
    manifest, spool = begin.manifest, Path(begin.spool)
    folder, run_id = Path(begin.home) / "checkpoints", digest(encode(manifest))
    checkpoints = Checkpoints(replica, folder, run_id)
    saved = None
    if begin.state is not None:
        file, ours = spool / begin.state.file, checkpoint.newest(folder, run_id)
        try:
            replica.adopt(begin.state, file, ours)
        finally:
            file.unlink(missing_ok=True)
        # The donor's file is gone; a restart must find its content here.
        try:
            link.send(checkpoints.write())
        except HomeError as error:
            if ours is None:
                raise
            raise RefusedStateError(error.message, ours=True) from error
    elif (saved := checkpoint.newest(folder, run_id)) is not None:
        replica.restore(saved)
    else:
        replica.begin(_path(begin.weights_path))
    return checkpoints, saved is not None


def main() -> int:
    """Speak with the daemon on the inherited socket until the end, and return the exit code."""
    parser = argparse.ArgumentParser(prog="peer.trainer")
    parser.add_argument("--socket", type=int, required=True, help="number of the inherited socket")
    link = Link(socket.socket(fileno=parser.parse_args().socket))
    # A terminal signals the whole group, but only the daemon decides when training ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    try:
        _obey(link)
    except PeerError as error:
        link.send(Failed(code=int(error.code), message=error.message, remedy=error.remedy))
        return int(error.code)
    finally:
        link.close()
    return 0


def _obey(link: Link) -> None:
    """Train as `Begin` says; where its state is of no use, wait for one with another donor's."""
    while not isinstance(message := link.wait(), Finish | Closed):
        if not isinstance(message, Begin):
            continue
        try:
            train(link, message)
            break
        except RefusedStateError as error:
            link.send(StateRefused(reason=str(error), ours=error.ours))


def _path(name: str | None) -> Path | None:
    return None if name is None else Path(name)


if __name__ == "__main__":
    sys.exit(main())
