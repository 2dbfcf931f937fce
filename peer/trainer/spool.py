"""Tensors in files of the spool folder, as a codec's bytes one after the other."""

import hashlib
import mmap
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from peer.codec.base import Codec, CodecError


@dataclass(frozen=True, slots=True)
class Written:
    """What the daemon needs to offer a file to others."""

    name: str
    size: int
    sha256: bytes


def fresh(folder: Path, kind: str) -> Path:
    """Return a path that no file had before: a daemon may still serve those of an earlier trainer."""
    return folder / f"{kind}-{secrets.token_hex(8)}"


def write(file: Path, codec: Codec, tensors: Sequence[Tensor]) -> Written:
    """Encode flat fp32 tensors into a new file.

    Raises:
        CodecError: a value is not finite, or beyond what the codec carries.
    """
    size, digest = 0, hashlib.sha256()
    with file.open("xb") as stream:
        for tensor in tensors:
            encoded = codec.encode(tensor)
            stream.write(encoded)
            digest.update(encoded)
            size += len(encoded)
    return Written(file.name, size, digest.digest())


def read(file: Path, codec: Codec, out: Sequence[Tensor]) -> None:
    """Decode a file of any content into flat fp32 tensors, which also say how long it must be.

    Raises:
        CodecError: the file has another length, or holds a value that is not finite; `out` is then undefined.
        OSError: it cannot be read.
    """
    lengths = [codec.format.encoded_size(tensor.numel()) for tensor in out]
    size = file.stat().st_size
    if size != sum(lengths):
        raise CodecError(f"it has {size} bytes as {codec.format.name}, {sum(lengths)} are right")
    with file.open("rb") as stream:
        # Not closed by hand: the traceback of a codec's error still refers to it.
        mapped = memoryview(mmap.mmap(stream.fileno(), size, access=mmap.ACCESS_READ))
    start = 0
    for tensor, length in zip(out, lengths, strict=True):
        codec.decode_into(mapped[start : start + length], tensor)
        start += length
