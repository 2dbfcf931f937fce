"""What the daemon asks of our shares where more than two peers mix."""

from pathlib import Path

from torch import Tensor

from peer.codec.base import CodecError
from peer.outer import redo
from peer.outer.gate import distance
from peer.outer.ranges import gather, views
from peer.outer.ranges import split as split_compact
from peer.outer.step import OuterState
from peer.trainer import reduction, spool
from peer.trainer.shares import OpenShare, RefusalError
from peer.trainer.shelf import Shelf
from protocol.trainer import Assemble, Blob, Mixed, Parts, Reduce, Reduced, Split


class Groups:
    """Answers questions about one reduction among the members of a group.

    Every method may raise `RefusalError`, `CodecError` or `OSError`; then nothing has been mixed.
    """

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    def split(self, asked: Split) -> Parts:
        """Write our share in parts.

        Raises:
            TrainerError: the weights are not finite.
        """
        self._shelf.allow(asked.codec)
        share, replica = self._shelf.find(asked.share), self._shelf.replica
        residual = None if replica.residual is None else gather(replica.residual, share.where)
        cut = reduction.split(
            replica.rule, share, asked.parts, asked.codec, residual, together=asked.together
        )
        share.split = cut
        parts: list[Blob] = []
        try:
            parts.extend(reduction.write_part(cut, part, self._fresh("part")) for part in cut.ranges)
        except (CodecError, OSError) as error:
            for written in parts:
                (self._shelf.folder / written.file).unlink()
            if isinstance(error, CodecError):
                raise replica.diverged() from error
            raise
        return Parts(share=asked.share, parts=tuple(parts))

    def reduce(self, asked: Reduce) -> Reduced:
        """Average one part over the members that sent it."""
        share, folder = self._shelf.find(asked.share), self._shelf.folder
        cut = share.split
        if cut is None or not 0 <= asked.part < len(cut.ranges):
            raise RefusalError("our share was not split so", ours=True)
        members = [(member, folder / member.file) for member in asked.members]
        body, refused = reduction.average(
            self._shelf.replica.rule, cut, cut.ranges[asked.part], members, self._fresh("mean")
        )
        return Reduced(share=asked.share, part=asked.part, body=body, refused=refused)

    def assemble(self, asked: Assemble) -> Mixed:
        """Mix the averages of all parts with our share."""
        shelf, replica = self._shelf, self._shelf.replica
        share, outer = shelf.find(asked.share), shelf.outer
        if (cut := share.split) is None:
            raise RefusalError("our share was not split", ours=True)
        files = [shelf.folder / name for name in asked.parts]
        agreed, mean = reduction.assemble(replica.rule, share, cut, files)
        apart = distance(cut.mine[0], mean)
        # Our own share is in the mean: without it, the others' is further away.
        stretch = 1 / (1 - asked.weight) if asked.weight < 1 else 0.0
        with shelf.turns.between_steps():
            shelf.settle(share)
            own = self._own_step(share)
            redo.replace(shelf.landing(share), outer, replica.theta, own, agreed, share.where)
            if replica.residual is not None and cut.residual is not None:
                _scatter(cut.residual, replica.residual, share)
            return shelf.close(asked.share, share, apart.rms * stretch, apart.relative * stretch)

    def _own_step(self, share: OpenShare) -> OuterState:
        """Return φ and m as our own outer step made them, to the bit where nothing was mixed since."""
        last, outer = self._shelf.replica.last_steps[share.fragment], self._shelf.outer
        if last.untouched and share.outer_step == last.outer_step:
            return OuterState(gather(outer.phi, share.where), gather(outer.momentum, share.where))
        return reduction.own_step(self._shelf.replica.rule, share)

    def _fresh(self, kind: str) -> Path:
        return spool.fresh(self._shelf.folder, kind)


def _scatter(compact: Tensor, whole: Tensor, share: OpenShare) -> None:
    for run, part in zip(views(whole, share.where), split_compact(compact, share.where), strict=True):
        run.copy_(part)
