"""From the daemon's first `Begin` to the end of training, in the process that has the replica."""

import logging
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
from peer.trainer.fetching import fetching
from peer.trainer.gradients import Alone
from peer.trainer.inner import held_in
from peer.trainer.link import Closed, Link
from peer.trainer.loop import Loop
from peer.trainer.onebyte import train as onebyte
from peer.trainer.replica import RefusedStateError, Replica
from peer.trainer.work import Places, load, path_of
from protocol.codec import digest, encode
from protocol.trainer import Begin, Failed, Finish, StateRefused, ToTrainer, Waiting

if TYPE_CHECKING:
    from peer.trainer.ranks.leader import Leader


def log(prefix: str = "") -> None:
    """Have this process log to where the daemon keeps it, behind `prefix`."""
    form = f"{prefix}%(levelname)s %(name)s: %(message)s"
    logging.basicConfig(level=logging.INFO, format=form, stream=sys.stderr)


def serve(link: Link, begin: Begin, meeting: Path | None = None) -> int:
    """Train as the daemon says until the end, and return the exit code.

    Args:
        link: to the daemon.
        begin: what it has said.
        meeting: file where the other ranks wait, one for each further device; None with one device.
    """
    try:
        _obey(link, begin, meeting)
    except PeerError as error:
        return tell(link, error)
    return 0


def tell(link: Link, error: PeerError) -> int:
    """Tell the daemon of what a person can mend, and return the exit code for it."""
    link.send(Failed(code=int(error.code), message=error.message, remedy=error.remedy))
    return int(error.code)


def _obey(link: Link, begin: Begin, meeting: Path | None) -> None:
    """Train as `Begin` says; where its state is of no use, wait for one with another donor's."""
    message: ToTrainer | Closed = begin
    while not isinstance(message, Finish | Closed):
        if isinstance(message, Begin):
            try:
                with fetching(link, message):
                    train(link, message, meeting)
                break
            except RefusedStateError as error:
                link.send(StateRefused(reason=str(error), ours=error.ours))
        message = link.wait()


def train(link: Link, begin: Begin, meeting: Path | None) -> None:
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
    with _leading(equipment, meeting) as leader, _loaded(link, begin, device) as replica:
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


def _leading(equipment: Equipment, meeting: Path | None) -> AbstractContextManager["Leader | None"]:
    """Lead the ranks that wait for us."""
    if meeting is None:
        return nullcontext()
    from peer.trainer.ranks.leader import leading

    return leading(equipment.devices, meeting)


@contextmanager
def _loaded(link: Link, begin: Begin, device: torch.device) -> Iterator[Replica]:
    """Give the replica with the run's first weights, and the data that it trains on."""
    manifest = begin.manifest
    frozen = held_in(manifest.inner, device)
    work = load(manifest, Places.of(begin), begin.shard, frozen, lambda why: link.send(Waiting(reason=why)))
    with closing(work.feed):
        yield Replica(manifest, work, device, begin.sequences)


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
        replica.begin(path_of(begin.weights_path))
    return checkpoints, saved is not None
