"""What the codecs of variable size have in common: chunks one after the other, each as long as it is."""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from peer.codec.base import CodecError
from peer.codec.checks import LARGEST, check_tensor, within
from peer.codec.formats import CHUNK, Format
from peer.codec.squeeze import Reader, Squeezer


class StreamedCodec(ABC):
    """A `Codec` whose chunks take as many bytes as they need, up to what the format gives them."""

    format: ClassVar[Format]
    largest: ClassVar[float] = LARGEST
    """The largest magnitude that it carries."""

    @abstractmethod
    def _encode_chunk(self, chunk: Tensor, squeezer: Squeezer) -> bytes:
        """Write up to `CHUNK` float32 values."""

    @abstractmethod
    def _decode_chunk(self, reader: Reader, chunk: Tensor) -> None:
        """Read the next chunk into up to `CHUNK` float32 values."""

    @abstractmethod
    def error_bound(self, tensor: Tensor) -> Tensor:
        """See `Codec.error_bound`."""

    @torch.no_grad()
    def encode(self, tensor: Tensor) -> bytes:
        """See `Codec.encode`."""
        check_tensor(tensor, self.format.name, self.largest)
        squeezer = Squeezer()
        return b"".join(self._encode_chunk(chunk, squeezer) for chunk in _chunks(tensor))

    def encode_into(self, tensor: Tensor, out: memoryview) -> int:
        """See `Codec.encode_into`."""
        most = self.format.encoded_size(tensor.numel())
        if out.nbytes < most:
            raise CodecError(
                f"{tensor.numel()} values take up to {most} bytes as {self.format.name}; "
                f"the buffer has {out.nbytes}"
            )
        data = self.encode(tensor)
        out[: len(data)] = data
        return len(data)

    def decode(self, data: memoryview | bytes, values: int, device: torch.device | str = "cpu") -> Tensor:
        """See `Codec.decode`."""
        decoded = torch.empty(values, dtype=torch.float32, device=device)
        self.decode_into(data, decoded)
        return decoded

    @torch.no_grad()
    def decode_into(self, data: memoryview | bytes, out: Tensor) -> None:
        """See `Codec.decode_into`."""
        reader = Reader(data)
        for chunk in _chunks(out):
            self._decode_chunk(reader, chunk)
        if reader.left:
            raise CodecError(f"{reader.left} bytes are left after {out.numel()} values as {self.format.name}")
        if not within(out):
            raise CodecError(f"the {self.format.name} bytes hold a value that is not finite")


def _chunks(values: Tensor) -> tuple[Tensor, ...]:
    return torch.split(values, CHUNK) if values.numel() else ()
