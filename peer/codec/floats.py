"""`fp32` and `bf16`: each value by itself, exact or rounded."""

import torch
from torch import Tensor

from peer.codec.chunked import ChunkedCodec, DecodeChunk, EncodeChunk
from peer.codec.formats import BF16, CHUNK, FP32


class Fp32(ChunkedCodec):
    """Four bytes a value, exact to the bit."""

    format = FP32

    def _encoder(self, device: torch.device) -> EncodeChunk:  # noqa: ARG002
        def encode(chunk: Tensor, wire: Tensor) -> None:
            wire.copy_(chunk.view(torch.uint8))

        return encode

    def _decoder(self) -> DecodeChunk:
        def decode(wire: Tensor, chunk: Tensor) -> None:
            chunk.view(torch.uint8).copy_(wire)

        return decode

    def error_bound(self, tensor: Tensor) -> Tensor:
        """Return zeros."""
        return torch.zeros_like(tensor)


class Bf16(ChunkedCodec):
    """Two bytes a value, rounded to nearest, ties to even.

    The error is at most 2^-8 of the value, or 2^-134 where the value is subnormal.
    """

    format = BF16
    largest = torch.finfo(torch.bfloat16).max

    def _encoder(self, device: torch.device) -> EncodeChunk:
        work = torch.empty(CHUNK, dtype=torch.bfloat16, device=device)

        def encode(chunk: Tensor, wire: Tensor) -> None:
            rounded = work[: chunk.numel()].copy_(chunk)
            wire.copy_(rounded.view(torch.uint8))

        return encode

    def _decoder(self) -> DecodeChunk:
        def decode(wire: Tensor, chunk: Tensor) -> None:
            chunk.copy_(wire.view(torch.bfloat16).to(chunk.device))

        return decode

    def error_bound(self, tensor: Tensor) -> Tensor:
        """Return 2^-8·|x| + 2^-134."""
        return tensor.abs() * 2.0**-8 + 2.0**-134
