"""What the codecs of fixed size have in common: the walk through a tensor chunk by chunk.

Chunks keep every temporary in cache and reuse it. In one shot over 48 MB the same arithmetic is
several times slower, for each temporary is fresh memory and its page faults dominate.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor

from peer.codec.base import CodecError
from peer.codec.checks import LARGEST, check_tensor, within
from peer.codec.formats import CHUNK, Format

EncodeChunk = Callable[[Tensor, Tensor], None]
"""Writes up to `CHUNK` float32 values to as many host bytes (uint8) as their format takes."""

DecodeChunk = Callable[[Tensor, Tensor], None]
"""Reads host bytes (uint8) into up to `CHUNK` float32 values."""


class ChunkedCodec(ABC):
    """A `Codec` whose chunks are coded apart, each in the bytes that its format gives it."""

    format: ClassVar[Format]
    largest: ClassVar[float] = LARGEST
    """The largest magnitude that it carries."""

    @abstractmethod
    def _encoder(self, device: torch.device) -> EncodeChunk:
        """Make the chunk encoder of one tensor, with its working memory on the tensor's device."""

    @abstractmethod
    def _decoder(self) -> DecodeChunk:
        """Make the chunk decoder of one tensor."""

    @abstractmethod
    def error_bound(self, tensor: Tensor) -> Tensor:
        """See `Codec.error_bound`."""

    def encode(self, tensor: Tensor) -> bytes:
        """See `Codec.encode`."""
        out = bytearray(self.format.encoded_size(tensor.numel()))
        self.encode_into(tensor, memoryview(out))
        return bytes(out)

    @torch.no_grad()
    def encode_into(self, tensor: Tensor, out: memoryview) -> int:
        """See `Codec.encode_into`."""
        check_tensor(tensor, self.format.name, self.largest)
        size = self.format.encoded_size
        values = tensor.numel()
        if out.nbytes < size(values):
            raise CodecError(
                f"{values} values take {size(values)} bytes as {self.format.name}; "
                f"the buffer has {out.nbytes}"
            )
        encode = self._encoder(tensor.device)
        for start in range(0, values, CHUNK):
            end = min(start + CHUNK, values)
            wire = torch.frombuffer(out[size(start) : size(end)], dtype=torch.uint8)
            encode(tensor[start:end], wire)
        return size(values)

    def decode(self, data: memoryview | bytes, values: int, device: torch.device | str = "cpu") -> Tensor:
        """See `Codec.decode`."""
        decoded = torch.empty(values, dtype=torch.float32, device=device)
        self.decode_into(data, decoded)
        return decoded

    @torch.no_grad()
    def decode_into(self, data: memoryview | bytes, out: Tensor) -> None:
        """See `Codec.decode_into`."""
        data = memoryview(data)
        values = out.numel()
        size = self.format.encoded_size
        if data.nbytes != size(values):
            raise CodecError(
                f"{values} values take {size(values)} bytes as {self.format.name}; there are {data.nbytes}"
            )
        if values == 0:
            return
        # A copy of each chunk: the sender may share the memory, and torch wants it writable.
        staging = bytearray(size(min(values, CHUNK)))
        wire = torch.frombuffer(staging, dtype=torch.uint8)
        decode = self._decoder()
        for start in range(0, values, CHUNK):
            end = min(start + CHUNK, values)
            length = size(end) - size(start)
            memoryview(staging)[:length] = data[size(start) : size(end)]
            decode(wire[:length], out[start:end])
        if not within(out):
            raise CodecError(f"the {self.format.name} bytes hold a value that is not finite")
