"""Several replicas in one process, each with its spool folder, and what a daemon carries between them."""

from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import TypeVar

import torch

from peer.outer import rule
from peer.trainer.sharing import Answer, Question, Sharing
from protocol.manifest import Manifest
from protocol.trainer import (
    Assemble,
    Blob,
    Encode,
    EncodeAgain,
    Encoded,
    Member,
    Mixed,
    Open,
    OpenAgain,
    Opened,
    Parts,
    Reduce,
    Reduced,
    Share,
    Split,
    Theirs,
)
from tests.peer.trainer.tiny import replica

T = TypeVar("T", bound=Answer)

THETA: tuple[rule.Share, ...] = ("theta",)
TWO_TENSORS: tuple[rule.Share, ...] = ("phi", "momentum")
"""What no preset shares, but a rule may."""


class Peer:
    """One replica and its sharing."""

    def __init__(self, folder: Path, run: Manifest, shard: int, shares: tuple[rule.Share, ...]) -> None:
        folder.mkdir()
        self.folder = folder
        self.replica = replica(run, shard)
        self.replica.rule = replace(self.replica.rule, shares=shares)
        self.sharing = Sharing(self.replica, folder, run.codecs)
        self._numbers = count()

    def boundary(self) -> Share:
        """Train to the next boundary of any fragment, and share."""
        self.replica.take_inner_step()
        while (fragment := self.replica.due) is None:
            self.replica.take_inner_step()
        boundary = self.replica.take_outer_step(fragment)
        assert boundary is not None
        return self.sharing.publish(boundary)

    def take(self, content: bytes | Path) -> str:
        """Put a file of its own into the spool."""
        name = f"in-{next(self._numbers)}"
        (self.folder / name).write_bytes(content if isinstance(content, bytes) else content.read_bytes())
        return name

    def bytes(self, blob: Blob) -> bytes:
        return (self.folder / blob.file).read_bytes()

    def ask(self, question: Question, kind: type[T]) -> T:
        answer, *_ = self.sharing.answer(question)
        assert isinstance(answer, kind)
        return answer

    def mix(self, share: Share, file: str | None, codec: str, tokens: int = 0) -> tuple[Mixed, Share | None]:
        theirs = Theirs(share=share.share, file=file, codec=codec, tokens=tokens, standing=64)
        mixed, *more = self.sharing.answer(theirs)
        assert isinstance(mixed, Mixed)
        refreshed = more[0] if more else None
        assert refreshed is None or isinstance(refreshed, Share)
        return mixed, refreshed

    def mix_with(self, ours: Share, partner: "Peer", theirs: Share) -> tuple[Mixed, Share | None]:
        """Take a partner's share that all read alike."""
        assert theirs.body is not None
        return self.mix(ours, self.take(partner.bytes(theirs.body)), theirs.codec, theirs.tokens)

    def state(self) -> torch.Tensor:
        """θ, φ and m in fp64."""
        assert self.replica.outer is not None
        return torch.stack((self.replica.theta, self.replica.outer.phi, self.replica.outer.momentum)).double()


def peers(folder: Path, run: Manifest, number: int = 2, shares: tuple[rule.Share, ...] = THETA) -> list[Peer]:
    return [Peer(folder / str(shard), run, shard, shares) for shard in range(number)]


def give(
    giver: Peer, share: Share, taker: Peer, its: Share, codec: str, bits: int = 4, bounds: bytes | None = None
) -> Opened:
    """Encode a share for a taker with these bounds, and let it open what comes."""
    name = None if bounds is None else giver.take(bounds)
    encoded = giver.ask(Encode(share=share.share, codec=codec, bits=bits, bounds=name), Encoded)
    assert encoded.body is not None
    return taker.ask(Open(share=its.share, file=taker.take(giver.bytes(encoded.body)), codec=codec), Opened)


def give_again(giver: Peer, share: Share, taker: Peer, its: Share, opened: Opened) -> Opened:
    """Bring the blocks that failed once more."""
    assert opened.failed is not None
    failed = giver.take(taker.bytes(opened.failed))
    encoded = giver.ask(EncodeAgain(share=share.share, failed=failed), Encoded)
    assert encoded.body is not None
    file = taker.take(giver.bytes(encoded.body))
    return taker.ask(OpenAgain(share=its.share, file=file), Opened)


def exchange(one: Peer, other: Peer, shares: list[Share], codec: str, bits: int = 4) -> list[Share | None]:
    """Both encode for each other, send failed blocks again, and mix."""
    sides = [(one, shares[0]), (other, shares[1])]
    for (giver, share), (taker, its) in (sides, sides[::-1]):
        bounds = None if codec != "modulo" or its.bounds is None else taker.bytes(its.bounds)
        opened = give(giver, share, taker, its, codec, bits, bounds)
        assert not opened.reason
        if opened.failed_blocks:
            opened = give_again(giver, share, taker, its, opened)
        assert opened.failed_blocks == 0
    refreshed = []
    for (peer, share), (_, theirs) in (sides, sides[::-1]):
        mixed, more = peer.mix(share, None, codec, theirs.tokens)
        assert mixed.accepted, mixed.reason
        refreshed.append(more)
    return refreshed


def mix_group(
    group: list[Peer],
    shares: list[Share],
    codec: str,
    *,
    together: bool,
    weights: list[float] | None = None,
    absent: int | None = None,
) -> list[Mixed]:
    """Split, reduce, and assemble at all members; `absent` drops out once the parts have been cut."""
    weights = weights or [1.0] * len(group)
    number = len(group)
    cuts: list[list[bytes]] = []
    for peer, share in zip(group, shares, strict=True):
        parts = peer.ask(Split(share=share.share, parts=number, codec=codec, together=together), Parts).parts
        assert len(parts) == number
        cuts.append([peer.bytes(part) for part in parts])
    present = [member for member in range(number) if member != absent]
    means: list[bytes] = []
    for part in range(number):
        # Whoever drops out leaves its part of the work to the first of the others.
        reducer = group[part if part != absent else present[0]]
        share = shares[group.index(reducer)]
        members = tuple(
            Member(file=reducer.take(cuts[member][part]), weight=weights[member]) for member in present
        )
        reduced = reducer.ask(Reduce(share=share.share, part=part, members=members), Reduced)
        assert reduced.body is not None
        assert reduced.refused == ()
        means.append(reducer.bytes(reduced.body))
    total = sum(weights[member] for member in present)
    return [
        group[member].ask(
            Assemble(
                share=shares[member].share,
                parts=tuple(group[member].take(mean) for mean in means),
                weight=weights[member] / total,
            ),
            Mixed,
        )
        for member in present
    ]
