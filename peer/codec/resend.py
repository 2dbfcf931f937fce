"""What follows a `modulo` exchange: the blocks that decoded wrong are named, and sent again exactly."""

import torch
from torch import Tensor

from peer.codec.base import CodecError
from peer.codec.blocks import as_blocks
from peer.codec.checks import check_tensor, within
from peer.codec.formats import MODULO_BLOCK, blocks_size, failed_size, modulo_blocks


def pack_failed(failed: Tensor, values: int) -> bytes:
    """Write block numbers, as `decode` returned them for so many values: a bit a block."""
    flags = torch.zeros(8 * failed_size(values), dtype=torch.uint8)
    flags[failed] = 1
    places = 2 ** torch.arange(8, dtype=torch.uint8)
    return (flags.view(-1, 8) * places).sum(dim=1, dtype=torch.uint8).numpy().tobytes()


def unpack_failed(data: memoryview | bytes, values: int) -> Tensor:
    """Read the numbers of blocks of so many values: int64, ascending, on the CPU.

    Raises:
        CodecError: the length is wrong, or a block is named that is not there.
    """
    size, blocks = failed_size(values), modulo_blocks(values)
    if len(data) != size:
        raise CodecError(f"the failed blocks of {values} values take {size} bytes; there are {len(data)}")
    if size == 0:
        return torch.empty(0, dtype=torch.int64)
    packed = torch.frombuffer(bytearray(data), dtype=torch.uint8)
    flags = packed[:, None] >> torch.arange(8, dtype=torch.uint8) & 1
    failed = flags.view(-1).nonzero().view(-1)
    if failed.numel() and int(failed[-1]) >= blocks:
        raise CodecError(f"block {int(failed[-1])} failed, of {blocks}")
    return failed


def encode_blocks(x: Tensor, failed: Tensor) -> bytes:
    """Write the named blocks of the sender's values exactly; after a short last block come zeros.

    Args:
        x: flat float32, as it was encoded.
        failed: ascending block numbers, int64, as `unpack_failed` returns them.

    Raises:
        CodecError: a value is not finite.
    """
    check_tensor(x, "modulo")
    return _take(x, failed).cpu().numpy().tobytes()


def decode_blocks(data: memoryview | bytes, failed: Tensor, out: Tensor) -> None:
    """Put re-sent blocks where they belong.

    Args:
        data: bytes from the network, of any content.
        failed: ascending block numbers, int64, as `decode` returned them.
        out: the values that `decode` returned, flat float32.

    Raises:
        CodecError: the length is wrong, or a value is not finite. `out` is then as it was.
    """
    size = blocks_size(out.numel(), failed.numel())
    if len(data) != size:
        raise CodecError(f"{failed.numel()} blocks take {size} bytes; there are {len(data)}")
    if size == 0:
        return
    rows = torch.frombuffer(bytearray(data), dtype=torch.float32).view(-1, MODULO_BLOCK)
    if not within(rows):
        raise CodecError("the re-sent blocks hold a value that is not finite")
    _put(rows.to(out.device), failed, out)


def patch(x_hat: Tensor, x: Tensor, failed: Tensor) -> None:
    """Put one's own exact values where they are re-sent: `x_hat` is then what the receiver has."""
    _put(_take(x, failed), failed, x_hat)


def _take(x: Tensor, failed: Tensor) -> Tensor:
    """Return the named blocks, float32 (failed, `MODULO_BLOCK`)."""
    whole = x.numel() // MODULO_BLOCK
    failed = failed.to(x.device)
    rows = x[: whole * MODULO_BLOCK].view(whole, MODULO_BLOCK)[failed[failed < whole]]
    if rows.shape[0] == failed.numel():
        return rows
    return torch.cat((rows, as_blocks(x[whole * MODULO_BLOCK :], MODULO_BLOCK)))


@torch.no_grad()
def _put(rows: Tensor, failed: Tensor, out: Tensor) -> None:
    """Write the named blocks; what is beyond the end of `out` is dropped."""
    whole = out.numel() // MODULO_BLOCK
    failed = failed.to(out.device)
    inside = failed[failed < whole]
    out[: whole * MODULO_BLOCK].view(whole, MODULO_BLOCK)[inside] = rows[: inside.numel()]
    if inside.numel() < failed.numel():
        rest = out[whole * MODULO_BLOCK :]
        rest.copy_(rows[-1, : rest.numel()])
