"""What the daemon asks of our shares where two peers mix."""

import logging

from peer.codec.bounds import DECAY
from peer.outer import mix
from peer.outer.gate import check, distance
from peer.outer.step import Shared
from peer.trainer import recode, spool
from peer.trainer.shares import OpenShare, RefusalError
from peer.trainer.shelf import Shelf
from protocol.trainer import Encode, EncodeAgain, Encoded, Mixed, Open, OpenAgain, Opened, Share, Theirs

MOST_TOKENS = 9
"""Times our own tokens that a partner's claim counts for in a refreshed share, as in its weight, 0.9 at most.
One liar's claim would else be every later partner's."""

_log = logging.getLogger(__name__)


class Pairs:
    """Answers questions about one exchange with one partner.

    Every method may raise `RefusalError`, `CodecError` or `OSError`; then nothing has been mixed.
    """

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    def encode(self, asked: Encode) -> Encoded:
        """Write our share for one receiver."""
        self._shelf.allow(asked.codec)
        share, bounds = self._shelf.find(asked.share), None
        if asked.bounds is not None:
            bounds = self._shelf.folder / asked.bounds
        target = spool.fresh(self._shelf.folder, "share")
        body = recode.encode(share, asked, bounds, target)
        return Encoded(share=asked.share, body=body)

    def encode_again(self, asked: EncodeAgain) -> Encoded:
        """Write the blocks that the receiver could not decode."""
        share, folder = self._shelf.find(asked.share), self._shelf.folder
        body = recode.encode_again(share, folder / asked.failed, spool.fresh(folder, "again"))
        return Encoded(share=asked.share, body=body)

    def open(self, asked: Open) -> Opened:
        """Decode a partner's share beside ours, and keep it."""
        self._shelf.allow(asked.codec)
        share = self._shelf.find(asked.share)
        recode.open_share(share, asked.codec, self._shelf.folder / asked.file)
        return self._opened(asked.share, share)

    def open_again(self, asked: OpenAgain) -> Opened:
        """Put the blocks that had failed where they belong."""
        share = self._shelf.find(asked.share)
        recode.open_again(share, self._shelf.folder / asked.file)
        return self._opened(asked.share, share)

    def mix(self, theirs: Theirs) -> tuple[Mixed, Share | None]:
        """Mix a partner's share with ours.

        Returns:
            The answer; and the refreshed share, where the newest share was mixed and may be once more.

        Raises:
            RefusalError: it is not fit; our share stays open.
            TrainerError: the weights are not finite.
        """
        shelf, rule = self._shelf, self._shelf.replica.rule
        share, outer = shelf.find(theirs.share), shelf.outer
        if shelf.groups:
            raise RefusalError("this run mixes in groups", ours=True)
        values = self._values(theirs, share)
        # Mixed is theirs minus what they have of ours: a stranger's bounds are as strong as its share.
        if share.sent is not None and (reason := check(rule, share.values, share.sent)) is not None:
            raise RefusalError(f"under its bounds our own share is no share any more: {reason}")
        # What both have of each other, so that both find the same: one must not mix where the other refuses.
        mine = share.sent or share.values
        if (reason := check(rule, mine, values)) is not None:
            raise RefusalError(reason)
        apart = distance(share.values[0], values[0])
        weight = recode.weight(rule, share, theirs)
        correction = mix.correction(mine, values, weight)
        with shelf.turns.between_steps():
            shelf.settle(share)
            mix.apply(shelf.landing(share), outer, shelf.replica.theta, correction, share.where)
            mixed = shelf.close(theirs.share, share, apart.rms, apart.relative)
        standing = shelf.of(share)
        if shelf.per_receiver:
            # Partners are fresh from their boundary, or have mixed already and are half as far: bounds shrink
            # with the outer steps, not with each exchange.
            fresh = share.mixes_left == rule.mixes
            standing.bounds = recode.new_bounds(share, values, standing.bounds, DECAY if fresh else 1.0)
        if theirs.share != standing.newest or share.mixes_left <= 1:
            return mixed, None
        mix.refresh(share.values, correction)
        refreshed = share.refreshed(min(theirs.tokens, MOST_TOKENS * share.tokens), theirs.standing)
        try:
            return mixed, shelf.offer(refreshed, fresh=False)
        except OSError as error:
            _log.warning("share %d was mixed, and cannot be offered again: %s", theirs.share, error)
            return mixed, None

    def _values(self, theirs: Theirs, share: OpenShare) -> Shared:
        if theirs.file is not None:
            self._shelf.allow(theirs.codec)
            return recode.decode(theirs.codec, self._shelf.folder / theirs.file, share.values)
        if share.came is None:
            raise RefusalError("nothing was decoded for our share", ours=True)
        if count := recode.failed_blocks(share):
            raise RefusalError(f"{count} of its blocks failed, and did not come again")
        return share.came

    def _opened(self, number: int, share: OpenShare) -> Opened:
        return Opened(
            share=number,
            failed=recode.list_failed(share, spool.fresh(self._shelf.folder, "failed")),
            failed_blocks=recode.failed_blocks(share),
            blocks=recode.blocks(share),
            reason="",
        )
