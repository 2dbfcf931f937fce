"""What a codec is. Torch is named here but not imported, so that the daemon may look codecs up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from peer.codec.formats import Format


class CodecError(ValueError):
    """A tensor that a codec cannot carry, or bytes that no encoder wrote; says what is wrong with it."""


class Codec(Protocol):
    """A way to write a flat float32 tensor as bytes.

    The computation runs on the tensor's device, the bytes are on the host, in its own byte order
    (little-endian wherever torch runs). Where the format has an exact size, decoding and encoding again
    gives the same bytes. Codecs keep no state, so any number of threads may use one.

    `modulo`, which needs the receiver's values, is not one of these: see `peer.codec.modulo`.
    """

    @property
    def format(self) -> Format:
        """Its name, and what its bytes look like from outside."""

    @property
    def largest(self) -> float:
        """The largest magnitude that it carries."""

    def encode_into(self, tensor: Tensor, out: memoryview) -> int:
        """Write a flat float32 tensor to the start of a writable buffer; return the bytes written.

        Raises:
            CodecError: the tensor is not flat float32, a value is not finite or beyond what the
                codec can carry, or the buffer is shorter than `format.encoded_size`. The buffer is then
                as it was.
        """

    def encode(self, tensor: Tensor) -> bytes:
        """Write a tensor as new bytes, like `encode_into`."""

    def decode_into(self, data: memoryview | bytes, out: Tensor) -> None:
        """Fill a flat float32 tensor from bytes; every value is then finite.

        Args:
            data: bytes from the network, of any content; they may change meanwhile.
            out: where the values go. Memory that was used before decodes several times faster.

        Raises:
            CodecError: the bytes are not as many as so many values take, are not of the format, or
                make a value that is not finite. The tensor's content is then undefined.
        """

    def decode(self, data: memoryview | bytes, values: int, device: torch.device | str = "cpu") -> Tensor:
        """Read so many values, like `decode_into`, into a new tensor on `device`."""

    def error_bound(self, tensor: Tensor) -> Tensor:
        """Return how far each decoded value may be from the tensor's, in the tensor's shape."""
