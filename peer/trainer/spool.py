"""Tensors in files of the spool folder, as a codec's bytes one after the other."""

import hashlib
import mmap
import secrets
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from torch import Tensor

from peer.codec.base import Codec, CodecError
from peer.codec.registry import get
from protocol.state_index import ChunkHasher
from protocol.trainer import Blob


def fresh(folder: Path, kind: str) -> Path:
    """Return a path that no file had before: a daemon may still serve those of an earlier trainer."""
    return folder / f"{kind}-{secrets.token_hex(8)}"


def write(file: Path, codec: Codec, tensors: Sequence[Tensor]) -> Blob:
    """Encode flat fp32 tensors into a new file.

    Raises:
        CodecError: a value is not finite, or beyond what the codec carries.
        OSError: the disk refused.
    """
    return write_bytes(file, (codec.encode(tensor) for tensor in tensors))


def write_bytes(file: Path, parts: Iterable[bytes]) -> Blob:
    """Write some bytes after others into a new file; one that fails half way is not left behind.

    Raises:
        OSError: the disk refused.
    """
    digest = hashlib.sha256()
    size = _write(file, parts, digest.update)
    return Blob(file=file.name, size=size, sha256=digest.digest())


def write_state(file: Path, tensors: Sequence[Tensor]) -> tuple[int, bytes]:
    """Write flat fp32 tensors as a donor gives them; return the bytes, and the hashes of their chunks.

    Raises:
        CodecError: a value is not finite.
        OSError: the disk refused.
    """
    codec = get("fp32")
    hasher = ChunkHasher(sum(codec.format.encoded_size(tensor.numel()) for tensor in tensors))
    size = _write(file, (codec.encode(tensor) for tensor in tensors), hasher.update)
    return size, hasher.hashes()


def _write(file: Path, parts: Iterable[bytes], note: Callable[[bytes], None]) -> int:
    size = 0
    try:
        with file.open("xb") as stream:
            for part in parts:
                stream.write(part)
                note(part)
                size += len(part)
    except FileExistsError:
        raise
    except (OSError, CodecError):
        file.unlink(missing_ok=True)
        raise
    return size


def read(file: Path, codec: Codec, out: Sequence[Tensor]) -> None:
    """Decode a file of any content into flat fp32 tensors, which also say how long it must be.

    Raises:
        CodecError: the file has another length, or holds a value that is not finite; `out` is then undefined.
        OSError: it cannot be read.
        ValueError: several tensors in a codec whose bytes do not say where one ends.
    """
    sizes = [codec.format.encoded_size(tensor.numel()) for tensor in out]
    if codec.format.exact_size:
        parts = read_bytes(file, sizes, codec.format.name)
    elif len(sizes) > 1:
        raise ValueError(f"a file of {len(sizes)} tensors in {codec.format.name} cannot be told apart")
    else:
        parts = read_bytes(file, [min(sizes[0], file.stat().st_size)], codec.format.name)
    for part, tensor in zip(parts, out, strict=True):
        codec.decode_into(part, tensor)


def read_bytes(file: Path, sizes: Sequence[int], name: str) -> list[memoryview]:
    """Return parts of known sizes of a file of any content, mapped into memory.

    Raises:
        CodecError: the file is empty, or longer or shorter than the parts; `name` says as what.
        OSError: it cannot be read.
    """
    size = file.stat().st_size
    if size != sum(sizes) or not size:
        raise CodecError(f"it has {size} bytes as {name}, {sum(sizes)} are right")
    with file.open("rb") as stream:
        # Not closed by hand: the traceback of a codec's error still refers to it.
        mapped = memoryview(mmap.mmap(stream.fileno(), size, access=mmap.ACCESS_READ))
    parts, start = [], 0
    for length in sizes:
        parts.append(mapped[start : start + length])
        start += length
    return parts
