"""Bytes in a frame that zstd shrinks where it can, and a reader that believes no frame."""

import struct

import zstandard

from peer.codec.base import CodecError
from peer.codec.formats import FRAME_BYTES

LEVEL = 1
"""What there is to gain is the Huffman stage, which every level has."""

_SHRUNK = 1 << 31


class Squeezer:
    """Writes frames: a little-endian length whose highest bit says that zstd shrunk what follows."""

    def __init__(self) -> None:
        self._zstd = zstandard.ZstdCompressor(level=LEVEL, write_checksum=False)

    def frame(self, raw: memoryview | bytes) -> bytes:
        """Return at most `FRAME_BYTES` more than `raw`."""
        raw = memoryview(raw)
        shrunk = self._zstd.compress(raw)
        if len(shrunk) < raw.nbytes:
            return struct.pack("<I", len(shrunk) | _SHRUNK) + shrunk
        return struct.pack("<I", raw.nbytes) + raw


class Reader:
    """Reads bytes from the network in order; each is copied before it is looked at, for it may change."""

    def __init__(self, data: memoryview | bytes) -> None:
        self._data = memoryview(data)
        self._zstd = zstandard.ZstdDecompressor()

    @property
    def left(self) -> int:
        """How many bytes were not read."""
        return self._data.nbytes

    def take(self, length: int) -> bytearray:
        """Return the next bytes.

        Raises:
            CodecError: there are fewer.
        """
        if length > self.left:
            raise CodecError(f"the bytes end early: {length} were expected, {self.left} are left")
        taken = bytearray(self._data[:length])
        self._data = self._data[length:]
        return taken

    def frame(self, least: int, most: int) -> bytearray:
        """Return what the next frame holds, of `least` to `most` bytes; never allocates more.

        Raises:
            CodecError: it holds more or less, or is not a frame.
        """
        (head,) = struct.unpack("<I", self.take(FRAME_BYTES))
        length = head & (_SHRUNK - 1)
        if length > most:
            raise CodecError(f"a frame announces {length} bytes, at most {most} are right")
        payload = self.take(length)
        raw = self._grow(payload, most) if head & _SHRUNK else payload
        if not least <= len(raw) <= most:
            raise CodecError(f"a frame holds {len(raw)} bytes, {least} to {most} are right")
        return raw

    def _grow(self, payload: bytearray, most: int) -> bytearray:
        try:
            announced = zstandard.get_frame_parameters(payload).content_size
            if announced > most:  # also where it announces nothing: that reads as 2^64 - 1
                raise CodecError("a zstd frame announces more than is right, or nothing")
            raw = self._zstd.decompress(payload, max_output_size=most, allow_extra_data=False)
        except zstandard.ZstdError as error:
            raise CodecError(f"not a zstd frame: {error}") from error
        return bytearray(raw)
