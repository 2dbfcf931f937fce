"""What this peer shares, and what it mixes: shares to spool files, partners' files to corrections."""

from dataclasses import dataclass
from pathlib import Path

import torch

from peer.codec.base import CodecError
from peer.codec.registry import get
from peer.outer import mix
from peer.outer.gate import check, distance
from peer.outer.step import Shared
from peer.trainer import spool
from peer.trainer.replica import Replica
from protocol.trainer import Mixed, Share, Theirs

MAX_OPEN = 2
"""Shares that may await their mix: the newest, and the one before it whose mix is late."""


@dataclass(frozen=True, slots=True)
class _Open:
    """A share that may still be mixed: its values as partners decode them, and its boundary."""

    values: Shared
    inner_step: int
    outer_step: int
    mixes_left: int


class _RefusalError(Exception):
    """Why a partner's share was not mixed, and whether that is our own fault."""

    def __init__(self, reason: str, *, ours: bool = False) -> None:
        super().__init__(reason)
        self.ours = ours


class Sharing:
    """The open shares of a replica, by number.

    One's own share is kept in its decoded form: with c = w (x̂_j - x̂_i) on the one side and its opposite on
    the other, the swarm's mean stays what it was, however coarse the codec.
    """

    def __init__(self, replica: Replica, folder: Path, codecs: tuple[str, ...]) -> None:
        self._replica = replica
        self._folder = folder
        self._codecs = codecs
        self._open: dict[int, _Open] = {}
        self._number = 0
        self._boundary = 0
        """Number of the last share that was made at a boundary."""

    @property
    def waiting(self) -> bool:
        """Whether the last boundary's share is open: the daemon will still send `Theirs` or `NoMix` for it.

        Refreshed shares are open for whoever asks, but nobody need come.
        """
        return self._boundary in self._open

    def publish(self, shared: Shared) -> Share:
        """Encode what a boundary shares; a third open share displaces the oldest.

        Raises:
            TrainerError: the weights are not finite.
        """
        now = self._replica.counters
        boundary = _Open(shared, now.inner_step, now.outer_step, self._replica.rule.mixes)
        message = self._encode(boundary, fresh=True)
        self._boundary = message.share
        while len(self._open) > MAX_OPEN:
            del self._open[min(self._open)]
        return message

    def land(self, theirs: Theirs) -> tuple[Mixed, Share | None]:
        """Mix a partner's share with ours, and delete its file.

        Returns:
            The answer; and the refreshed share, where the newest share was mixed and may be once more.
            A refused mix leaves our share open.
        """
        file = self._folder / theirs.file
        try:
            return self._land(theirs, file)
        except _RefusalError as refusal:
            mixed = Mixed(
                share=theirs.share,
                accepted=False,
                reason=str(refusal),
                distance=0.0,
                relative_distance=0.0,
                late_by=0,
                ours=refusal.ours,
            )
            return mixed, None
        finally:
            file.unlink(missing_ok=True)

    def drop(self, share: int) -> None:
        """Close a share that nobody will mix with any more."""
        self._open.pop(share, None)

    def _land(self, theirs: Theirs, file: Path) -> tuple[Mixed, Share | None]:
        ours, outer = self._open.get(theirs.share), self._replica.outer
        if ours is None or outer is None:
            raise _RefusalError("our share is no longer kept", ours=True)
        values = self._decode(theirs.codec, file, ours.values)
        reason = check(self._replica.rule, ours.values, values)
        if reason is not None:
            raise _RefusalError(reason)
        apart = distance(ours.values[0], values[0])
        correction = mix.correction(ours.values, values)
        mix.apply(self._replica.rule, outer, self._replica.theta, correction)
        mixed = Mixed(
            share=theirs.share,
            accepted=True,
            reason="",
            distance=apart.rms,
            relative_distance=apart.relative,
            late_by=self._replica.counters.inner_step - ours.inner_step,
        )
        del self._open[theirs.share]
        if theirs.share != self._number or ours.mixes_left <= 1:
            return mixed, None
        mix.refresh(ours.values, correction)
        refreshed = _Open(ours.values, ours.inner_step, ours.outer_step, ours.mixes_left - 1)
        return mixed, self._encode(refreshed, fresh=False)

    def _encode(self, share: _Open, *, fresh: bool) -> Share:
        """Write the preferred codec's bytes to a new file, and keep what a partner will read from them."""
        self._number += 1
        codec = get(self._codecs[0])
        file = spool.fresh(self._folder, "share")
        try:
            written = spool.write(file, codec, share.values)
        except CodecError as error:
            raise self._replica.diverged() from error
        spool.read(file, codec, share.values)
        self._open[self._number] = share
        return Share(
            share=self._number,
            outer_step=share.outer_step,
            inner_step=share.inner_step,
            fresh=fresh,
            file=written.name,
            size=written.size,
            sha256=written.sha256,
            codec=codec.format.name,
        )

    def _decode(self, codec: str, file: Path, like: Shared) -> Shared:
        if codec not in self._codecs:
            raise _RefusalError(f"the run does not allow the codec {codec}")
        values = tuple(torch.empty_like(tensor) for tensor in like)
        try:
            spool.read(file, get(codec), values)
        except (CodecError, OSError) as error:
            raise _RefusalError(str(error), ours=isinstance(error, OSError)) from error
        return values
