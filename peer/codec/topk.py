"""`topk`: the largest in 64 of each block, at two bits each: SparseLoCo (2508.15706).

A chunk is a frame with the gaps between the indices that are kept, which zstd shrinks, then two levels a
block in bfloat16 (the mean of its smaller and of its larger magnitudes), then the values: a sign, and which
of the levels. It is for a tensor with error feedback (`peer.codec.feedback`): most of a value waits there.
"""

import torch
from torch import Tensor

from peer.codec.base import CodecError
from peer.codec.blocks import as_blocks
from peer.codec.formats import KEPT, TOPK
from peer.codec.squeeze import Reader, Squeezer
from peer.codec.streamed import StreamedCodec

BLOCK = TOPK.block
KEPT_OF_BLOCK = BLOCK // KEPT

_ESCAPE = 255  # a gap of at least so much is written as so many of these, then the rest


class TopK(StreamedCodec):
    """About 0.15 bits a value.

    A value that is not kept is decoded as 0, a kept one as one of its block's two levels with its sign.
    """

    format = TOPK
    largest = 2.0**120  # a block's sum is finite

    def _encode_chunk(self, chunk: Tensor, squeezer: Squeezer) -> bytes:
        indices = _select(chunk)
        values = chunk[indices]
        blocks = indices // BLOCK
        levels, large = _levels(values.abs(), blocks, -(-chunk.numel() // BLOCK))
        codes = large.to(torch.uint8) | (values < 0).to(torch.uint8) << 1
        quads = as_blocks(codes, 4)
        packed = quads[:, 0] | quads[:, 1] << 2 | quads[:, 2] << 4 | quads[:, 3] << 6
        gaps = _gaps(indices).cpu().numpy()
        rest = torch.cat((levels.view(-1).view(torch.uint8), packed)).cpu().numpy()
        return squeezer.frame(gaps.data) + rest.tobytes()

    def _decode_chunk(self, reader: Reader, chunk: Tensor) -> None:
        count, blocks = _kept(chunk.numel()), -(-chunk.numel() // BLOCK)
        gaps = reader.frame(count, count + chunk.numel() // _ESCAPE)
        indices = _indices(torch.frombuffer(gaps, dtype=torch.uint8), count, chunk.numel())
        levels = torch.frombuffer(reader.take(4 * blocks), dtype=torch.bfloat16).float()
        packed = torch.frombuffer(reader.take(-(-count // 4)), dtype=torch.uint8)
        codes = torch.stack([packed >> shift & 3 for shift in (0, 2, 4, 6)], dim=1).view(-1)[:count].long()
        values = levels[2 * (indices // BLOCK) + (codes & 1)] * (1 - (codes & 2))
        chunk.zero_()
        chunk[indices.to(chunk.device)] = values.to(chunk.device)

    def error_bound(self, tensor: Tensor) -> Tensor:
        """Return the block's largest magnitude: what is not kept is lost, whatever is kept is no larger."""
        largest = as_blocks(tensor, BLOCK).abs().amax(dim=1)
        bound = largest * (1 + 2.0**-7) + 2.0**-133
        return bound.repeat_interleave(BLOCK)[: tensor.numel()]


def _kept(values: int) -> int:
    """Return how many values of a chunk are kept: one in 64 of each block, rounded up."""
    whole, rest = divmod(values, BLOCK)
    return whole * KEPT_OF_BLOCK + -(-rest // KEPT)


def _select(chunk: Tensor) -> Tensor:
    """Return the ascending indices of the largest magnitudes of each block."""
    whole = chunk.numel() // BLOCK * BLOCK
    rows = chunk[:whole].view(-1, BLOCK).abs()
    first = torch.arange(0, whole, BLOCK, device=chunk.device)[:, None]
    indices = (rows.topk(KEPT_OF_BLOCK, dim=1, sorted=False).indices.sort(dim=1).values + first).view(-1)
    rest = chunk[whole:].abs()
    if rest.numel() == 0:
        return indices
    last = rest.topk(-(-rest.numel() // KEPT), sorted=False).indices.sort().values
    return torch.cat((indices, last + whole))


def _levels(magnitudes: Tensor, blocks: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return each block's two levels, bfloat16 (count, 2), and which values take the larger one."""
    means = _means(magnitudes, blocks, count)
    large = magnitudes >= means[blocks]
    lower = _means(magnitudes[~large], blocks[~large], count)
    # Where a block has fewer values than are kept, nothing must come of its zeros.
    lower[blocks[magnitudes == 0]] = 0
    upper = _means(magnitudes[large], blocks[large], count)
    return torch.stack((lower, upper), dim=1).to(torch.bfloat16), large


def _means(values: Tensor, blocks: Tensor, count: int) -> Tensor:
    """Return the mean of each block's values; 0 where it has none."""
    sums = torch.zeros(count, device=values.device).index_add_(0, blocks, values)
    return sums / torch.bincount(blocks, minlength=count).clamp_(min=1)


def _gaps(indices: Tensor) -> Tensor:
    """Write ascending indices as the number of values skipped before each, uint8 with escapes."""
    gaps = indices.diff(prepend=indices.new_tensor([-1])) - 1
    ends = (gaps // _ESCAPE + 1).cumsum(0)
    written = torch.full((int(ends[-1]),), _ESCAPE, dtype=torch.uint8, device=indices.device)
    written[ends - 1] = (gaps % _ESCAPE).to(torch.uint8)
    return written


def _indices(gaps: Tensor, count: int, values: int) -> Tensor:
    """Read `count` ascending indices below `values`, int64.

    Raises:
        CodecError: there are more or fewer, or one lies beyond.
    """
    ends = gaps != _ESCAPE
    if int(ends.sum()) != count or not bool(ends[-1]):
        raise CodecError("the gaps of topk name more or fewer values than are kept")
    indices = gaps.long().cumsum(0)[ends] + torch.arange(count)
    if int(indices[-1]) >= values:
        raise CodecError("the gaps of topk reach beyond the chunk")
    return indices
