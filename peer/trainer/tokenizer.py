"""Text to tokens: bytes, or a Hugging Face tokenizer file that the manifest names by its hash."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from peer.errors import DataError
from protocol import manifest

if TYPE_CHECKING:
    import tokenizers


class Tokenizer(Protocol):
    """What turns the corpus into token numbers below the manifest's vocabulary."""

    def encode(self, texts: list[bytes]) -> list[Tensor]:
        """Return one 1-D tensor of tokens (uint8 or int32) for each piece of UTF-8 text."""


class Bytes:
    """Each byte is its own token."""

    def encode(self, texts: list[bytes]) -> list[Tensor]:
        """Return the bytes as uint8; empty texts are not allowed."""
        return [torch.frombuffer(bytearray(text), dtype=torch.uint8) for text in texts]


class File:
    """A Hugging Face `tokenizer.json`."""

    def __init__(self, inner: "tokenizers.Tokenizer") -> None:
        self._inner = inner

    def encode(self, texts: list[bytes]) -> list[Tensor]:
        """Return int32 tokens, without the special ones at the ends."""
        decoded = [text.decode("utf-8", errors="replace") for text in texts]
        encodings = self._inner.encode_batch_fast(decoded, add_special_tokens=False)
        return [torch.tensor(encoding.ids, dtype=torch.int32) for encoding in encodings]


def load(wanted: manifest.Tokenizer, path: Path | None) -> Tokenizer:
    """Return the manifest's tokenizer, read from `path` where it is a file.

    Raises:
        DataError: the file is missing, not of the manifest's hash, unreadable, or knows too many tokens.
    """
    if wanted.kind == "bytes":
        return Bytes()
    if path is None:
        raise DataError(
            "the run's tokenizer is a file, and none was given",
            "Give the run's tokenizer.json with --tokenizer.",
        )
    inner = parse(_checked(path, wanted.sha256), path)
    known = inner.get_vocab_size(with_added_tokens=True)
    if known > wanted.vocabulary:
        raise DataError(
            f"the tokenizer {path} knows {known} tokens, the run's model {wanted.vocabulary}",
            "Take the tokenizer file that the run's founder used.",
        )
    return File(inner)


def read(path: Path) -> bytes:
    """Return what a tokenizer file holds.

    Raises:
        DataError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(
            f"the tokenizer {path} cannot be read: {error.strerror}", "Name a readable tokenizer.json."
        ) from error


def _checked(path: Path, wanted: bytes | None) -> bytes:
    content = read(path)
    found = hashlib.sha256(content).digest()
    if found != wanted:
        raise DataError(
            f"the tokenizer {path} has the hash {found.hex()[:16]}, "
            f"the run's manifest names {wanted.hex()[:16] if wanted else 'none'}",
            "Take the tokenizer file that the run's founder used.",
        )
    return content


def parse(content: bytes, path: Path) -> "tokenizers.Tokenizer":
    """Return the tokenizer of the file at `path`, which has this content.

    Raises:
        DataError: it is no tokenizer file.
    """
    import tokenizers

    try:
        return tokenizers.Tokenizer.from_str(content.decode())
    except Exception as error:  # the library raises nothing more precise
        raise DataError(f"{path} is not a tokenizer file: {error}", "Name a tokenizer.json.") from error
