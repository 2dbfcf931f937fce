"""The shares of a replica that may still be mixed, fragment by fragment: how they come, and how they go."""

import hashlib
import secrets
from dataclasses import dataclass
from pathlib import Path

from peer.codec.base import CodecError
from peer.codec.bounds import Bounds
from peer.codec.checks import within
from peer.codec.registry import get
from peer.outer.rule import Rule
from peer.outer.step import OuterState, Shared
from peer.trainer import spool
from peer.trainer.beside import Turns
from peer.trainer.replica import PAIR, Boundary, Replica
from peer.trainer.shares import PER_RECEIVER, PLAIN, OpenShare, RefusalError
from protocol.trainer import Blob, Mixed, Share

MAX_OPEN = 2
"""Shares of a fragment that may await their mix: the newest, and the one before it whose mix is late."""


@dataclass(slots=True)
class Standing:
    """Where the sharing of one fragment stands.

    Attributes:
        boundary: number of the last share that was made at a boundary.
        newest: number of the last share of all.
        bounds: how far partners are expected to be from us, one a tensor; None before the first exchange.
    """

    boundary: int = 0
    newest: int = 0
    bounds: tuple[Bounds, ...] | None = None


class Shelf:
    """The open shares of a replica, by number.

    What partners read of a share is kept, be it exact or not: with c = w (x̂_j - x̂_i) on the one side and its
    opposite on the other, the swarm's mean stays what it was, however coarse the codec.

    Attributes:
        replica: whose shares they are.
        folder: the spool folder.
        per_receiver: whether shares are encoded for each partner, when it asks.
        groups: whether more than two mix together.
        turns: whose turn it is with the replica's weights, which are touched in no other.
    """

    def __init__(self, replica: Replica, folder: Path, codecs: tuple[str, ...]) -> None:
        self.replica = replica
        self.folder = folder
        self.per_receiver = codecs[0] in PER_RECEIVER
        self.groups = replica.rule.group > PAIR
        self.turns = Turns()
        self._codec = codecs[0]
        self._allowed = {*codecs, *(("modulo",) if codecs[0] == "auto" else ())}
        if self.per_receiver or self.groups:
            self._allowed |= set(PLAIN)
        self._open: dict[int, OpenShare] = {}
        self._promised: int | None = None
        self._standing = [Standing() for _ in replica.fragments]
        # A daemon may still speak of the shares of a trainer that died: no number comes twice.
        self._number = secrets.randbits(40)

    @property
    def waiting(self) -> bool:
        """Whether a boundary's share is open: the daemon will still say how its exchange ended.

        Refreshed shares are open for whoever asks, but nobody need come.
        """
        return any(standing.boundary in self._open for standing in self._standing)

    @property
    def outer(self) -> OuterState:
        """The replica's slow weights and momentum.

        Raises:
            RefusalError: the rule has none.
        """
        if self.replica.outer is None:
            raise RefusalError("this run shares nothing", ours=True)
        return self.replica.outer

    def of(self, share: OpenShare) -> Standing:
        """Return where the share's fragment stands."""
        return self._standing[share.fragment]

    def find(self, number: int) -> OpenShare:
        """Return an open share.

        Raises:
            RefusalError: it is closed.
        """
        if (share := self._open.get(number)) is None:
            raise RefusalError("our share is no longer kept", ours=True)
        return share

    def allow(self, codec: str) -> None:
        """Let a codec pass.

        Raises:
            RefusalError: the run does not use it.
        """
        if codec not in self._allowed:
            raise RefusalError(f"the run does not allow the codec {codec}")

    def publish(self, boundary: Boundary) -> Share:
        """Open the share of a boundary; a third open share of its fragment displaces the oldest.

        Raises:
            OSError: the disk refused: this outer step is a skip.
            TrainerError: the weights are not finite.
        """
        share = OpenShare.of(boundary, self.replica.rule.mixes)
        try:
            message = self.offer(share, fresh=True)
        except OSError:
            # Nobody else will say that its exchange has ended.
            with self.turns.between_steps():
                self.settle(share)
            raise
        self._standing[share.fragment].boundary = message.share
        of_fragment = sorted(number for number, each in self._open.items() if each.fragment == share.fragment)
        for number in of_fragment[:-MAX_OPEN]:
            if number != self._promised:
                del self._open[number]
        return message

    def keep(self, number: int) -> None:
        """Let no boundary displace this share: a partner may mix with it. The one kept so before may go."""
        self._promised = number

    def offer(self, share: OpenShare, *, fresh: bool) -> Share:
        """Open a share, and write what its partners need to see of it.

        Raises:
            OSError: the disk refused.
            TrainerError: the weights are not finite.
        """
        self._number += 1
        standing = self.of(share)
        standing.newest = self._number
        share.bounds = standing.bounds
        body = None if self.groups or self.per_receiver else self._encode(share.values)
        if body is None:
            self._check_finite(share)
        self._open[self._number] = share
        return Share(
            share=self._number,
            fragment=share.fragment,
            outer_step=share.outer_step,
            inner_step=share.inner_step,
            tokens=share.tokens,
            standing=share.standing,
            fresh=fresh,
            mixed=self.replica.rule.mixes - share.mixes_left,
            codec=self._codec,
            body=body,
            bounds=self._write_bounds(share.bounds),
            reference=None if share.before is None else _fingerprint(share.before),
        )

    def landing(self, share: OpenShare) -> Rule:
        """Return the rule by which a mix with the share lands in this turn."""
        return self.replica.landing(share.inner_step, share.outer_step)

    def close(self, number: int, share: OpenShare, rms: float, relative: float) -> Mixed:
        """Take away a share whose mix has landed in this turn, and say so.

        Args:
            number: the share's.
            share: itself.
            rms: how far the others were, in the units of the weights.
            relative: the same over our own root mean square.
        """
        del self._open[number]
        self.replica.last_steps[share.fragment].untouched = False
        return Mixed(
            share=number,
            accepted=True,
            reason="",
            distance=rms,
            relative_distance=relative,
            late_by=self.replica.counters.inner_step - share.inner_step,
        )

    def drop(self, number: int) -> None:
        """Take away a share that nobody will mix with any more."""
        share = self._open.pop(number, None)
        if share is not None and number == self.of(share).boundary:
            with self.turns.between_steps():
                self.settle(share)

    def settle(self, share: OpenShare) -> None:
        """Say that the exchange of the share's outer step has ended, unless the next step has been taken.

        Must come before its mix is applied, in the same turn: that moves θ by what is left to it once θ has
        been blended.
        """
        if share.outer_step == self.replica.last_steps[share.fragment].outer_step:
            self.replica.settle(self.replica.fragments[share.fragment])

    def _encode(self, values: Shared) -> Blob:
        """Write what all partners get alike, and keep what they will read from it."""
        codec, file = get(self._codec), spool.fresh(self.folder, "share")
        try:
            body = spool.write(file, codec, values)
        except CodecError as error:
            raise self.replica.diverged() from error
        spool.read(file, codec, values)
        return body

    def _check_finite(self, share: OpenShare) -> None:
        exact = share.values if share.theta is None else (share.theta,)
        if not all(within(tensor) for tensor in exact):
            raise self.replica.diverged()

    def _write_bounds(self, bounds: tuple[Bounds, ...] | None) -> Blob | None:
        if bounds is None:
            return None
        return spool.write_bytes(spool.fresh(self.folder, "bounds"), (each.to_bytes() for each in bounds))


def _fingerprint(state: OuterState) -> bytes:
    """Return the SHA-256 of φ and m, which members of a group have alike only if every bit is."""
    digest = hashlib.sha256()
    for tensor in (state.phi, state.momentum):
        digest.update(tensor.cpu().numpy().data)
    return digest.digest()
