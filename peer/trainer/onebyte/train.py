"""Puts a `onebyte` trainer together from what the daemon says."""

from contextlib import closing
from pathlib import Path

import torch

from peer.trainer import checkpoint
from peer.trainer.checkpoints import Checkpoints
from peer.trainer.equipment import Equipment
from peer.trainer.first_weights import load_first_weights
from peer.trainer.link import Link
from peer.trainer.onebyte.loop import Loop, read_logs
from peer.trainer.onebyte.voter import Voter
from peer.trainer.work import Places, Work, load, path_of
from protocol.codec import digest, encode
from protocol.identity import public_key_of
from protocol.trainer import Begin, Waiting


def train(link: Link, begin: Begin) -> None:
    """Build what `begin` asks for, say `Ready`, and vote until the end.

    Raises:
        PeerError: something that a person can mend: data, first weights, device, disk, a run that diverged.
    """
    equipment = Equipment.of(begin)
    device = equipment.take(begin)
    work = load(
        begin.manifest, Places.of(begin), begin.shard, tell=lambda reason: link.send(Waiting(reason=reason))
    )
    with closing(work.feed):
        _train(link, begin, work, equipment, device)


def _train(link: Link, begin: Begin, work: Work, equipment: Equipment, device: torch.device) -> None:
    manifest, spool = begin.manifest, Path(begin.spool)
    load_first_weights(manifest.model, path_of(begin.weights_path), work.net)
    voter = Voter(manifest, work, public_key_of(begin.peer_id), device, begin.sequences)
    folder, run_id = Path(begin.home) / "checkpoints", digest(encode(manifest))
    if (saved := checkpoint.newest(folder, run_id)) is not None:
        voter.restore(saved)
    if begin.votes is not None:
        voter.count_exactly(read_logs(spool / begin.votes))
    # Votes are no copies of weights: nothing else needs room on the device.
    voter.fitting = equipment.fitting(begin, 0, weights=0, tell=link.send)
    link.send(equipment.ready(voter.theta.numel(), voter.counters, resumed=saved is not None))
    loop = Loop(link, manifest, voter, Checkpoints(voter, folder, run_id), spool, begin.stop_at)
    with voter.fitting.heeding(begin.sequences):
        loop.run()
