"""An exchange in which each side encodes its share for the other: writing ours, reading theirs."""

import secrets
from pathlib import Path

import torch

from peer.codec import modulo
from peer.codec.bounds import Bounds
from peer.codec.formats import blocks_size, bounds_size, failed_size, modulo_blocks
from peer.codec.registry import get
from peer.outer.rule import Rule
from peer.outer.step import Shared
from peer.trainer import spool
from peer.trainer.shares import OpenShare, RefusalError
from protocol.trainer import Blob, Encode, Theirs

MOST_WEIGHT = 0.9
"""The most that a partner's share counts for, the least being the rest: its tokens are a mere claim."""


def weight(rule: Rule, ours: OpenShare, theirs: Theirs) -> float:
    """Return what the partner's share counts for; both sides come to weights that sum to 1.

    The tokens decide where the rule says so. Then each side's part is taken as far as it has standing: that
    of a newcomer counts for nothing at first, and it takes the partner's whole.
    """
    tokens = 0.5
    if rule.weights == "tokens" and ours.tokens + theirs.tokens:
        claimed = theirs.tokens / (ours.tokens + theirs.tokens)
        tokens = min(max(claimed, 1 - MOST_WEIGHT), MOST_WEIGHT)
    if not ours.standing + theirs.standing:
        return tokens
    mine, other = ours.standing * (1 - tokens), theirs.standing * tokens
    return other / (mine + other)


def decode(codec: str, file: Path, like: Shared) -> Shared:
    """Read a share that everybody reads alike.

    Raises:
        CodecError: the bytes are of no use.
        OSError: the file cannot be read.
    """
    values = tuple(torch.empty_like(tensor) for tensor in like)
    spool.read(file, get(codec), values)
    return values


def encode(share: OpenShare, asked: Encode, bounds: Path | None, target: Path) -> Blob:
    """Write our share for one receiver to `target`, and keep what it will decode.

    Raises:
        RefusalError: the receiver's bounds are missing.
        CodecError: the bounds or the number of bits are of no use.
        OSError: the disk refused.
    """
    if asked.codec != "modulo":
        blob = spool.write(target, get(asked.codec), share.values)
        share.sent = decode(asked.codec, target, share.values)
        return blob
    if bounds is None:
        raise RefusalError("the receiver has sent no bounds")
    sizes = [bounds_size(tensor.numel()) for tensor in share.values]
    parts = zip(share.values, spool.read_bytes(bounds, sizes, "bounds"), strict=True)
    encoded = [
        modulo.encode(tensor, Bounds.from_bytes(part, tensor.numel()), asked.bits, secrets.randbits(64))
        for tensor, part in parts
    ]
    share.sent = tuple(each.values for each in encoded)
    return spool.write_bytes(target, (each.data for each in encoded))


def encode_again(share: OpenShare, failed: Path, target: Path) -> Blob:
    """Write the blocks that the receiver lists, exactly, and keep that it has them so.

    Raises:
        RefusalError: the share was not encoded before, or the list is empty.
        CodecError: the list is of no use.
        OSError: the disk refused.
    """
    if share.sent is None:
        raise RefusalError("our share was not encoded for anybody")
    sizes = [failed_size(tensor.numel()) for tensor in share.values]
    listed = [
        modulo.unpack_failed(part, tensor.numel())
        for tensor, part in zip(share.values, spool.read_bytes(failed, sizes, "failed blocks"), strict=True)
    ]
    if not any(blocks.numel() for blocks in listed):
        raise RefusalError("the receiver lists no failed blocks")
    parts = list(zip(share.sent, share.values, listed, strict=True))
    for sent, exact, blocks in parts:
        modulo.patch(sent, exact, blocks)
    return spool.write_bytes(target, (modulo.encode_blocks(exact, blocks) for _, exact, blocks in parts))


def open_share(share: OpenShare, codec: str, file: Path) -> None:
    """Decode what a partner has encoded for us into `share.came`, and note the blocks that failed.

    Raises:
        RefusalError: it is coded against bounds, and we sent none.
        CodecError: the bytes are of no use.
        OSError: the file cannot be read.
    """
    if codec != "modulo":
        share.came, share.failed, share.bits = decode(codec, file, share.values), (), None
        return
    if share.bounds is None:
        raise RefusalError("it is coded against bounds, and we have sent none")
    count = len(share.values)
    parts = spool.read_bytes(file, [file.stat().st_size // count] * count, codec)
    decoded = [
        modulo.decode(part, own, bounds)
        for part, own, bounds in zip(parts, share.values, share.bounds, strict=True)
    ]
    share.came = tuple(values for values, _ in decoded)
    share.failed = tuple(failed for _, failed in decoded)
    # The first byte of a message, which has been checked.
    share.bits = tuple(part[0] for part in parts)


def open_again(share: OpenShare, file: Path) -> None:
    """Put the blocks that had failed where they belong.

    Raises:
        RefusalError: none had failed.
        CodecError: the bytes are of no use.
        OSError: the file cannot be read.
    """
    if share.came is None or not failed_blocks(share):
        raise RefusalError("no block of it had failed")
    pairs = list(zip(share.came, share.failed, strict=True))
    sizes = [blocks_size(values.numel(), failed.numel()) for values, failed in pairs]
    for part, (values, failed) in zip(spool.read_bytes(file, sizes, "blocks"), pairs, strict=True):
        modulo.decode_blocks(part, failed, values)
    share.failed = ()


def failed_blocks(share: OpenShare) -> int:
    """Return how many blocks of what came are not right yet."""
    return sum(failed.numel() for failed in share.failed)


def blocks(share: OpenShare) -> int:
    """Return how many blocks a share has."""
    return sum(modulo_blocks(tensor.numel()) for tensor in share.values)


def list_failed(share: OpenShare, target: Path) -> Blob | None:
    """Write the list of failed blocks for the sender; None where none failed.

    Raises:
        OSError: the disk refused.
    """
    if not failed_blocks(share):
        return None
    parts = zip(share.values, share.failed, strict=True)
    return spool.write_bytes(target, (modulo.pack_failed(failed, own.numel()) for own, failed in parts))


def new_bounds(
    share: OpenShare, theirs: Shared, known: tuple[Bounds, ...] | None, decay: float
) -> tuple[Bounds, ...]:
    """Return the bounds that follow from how far this partner was from us, one a tensor.

    Args:
        share: ours, as it was shared.
        theirs: the partner's.
        known: the bounds until now; None at the first exchange.
        decay: how much of them stays at the least.
    """
    count = len(theirs)
    bits: tuple[int | None, ...] = share.bits or (None,) * count
    # What rounding did to the distance can be told only with the bounds that it was done under.
    previous = (share.bounds if share.bits else known) or (None,) * count
    return tuple(
        Bounds.from_distance(own, other, before, decay=decay, bits=of_value)
        for own, other, before, of_value in zip(share.values, theirs, previous, bits, strict=True)
    )
