"""The corpus as tokens: what everybody may train on, and what nobody does."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from peer.errors import DataError
from peer.trainer import sources, tokenizer
from protocol.manifest import Manifest, Part

SEGMENT = 64 * 1024
"""Bytes of text that are held out, or not, together."""

_SCAN = 1 << 22


@dataclass(frozen=True, slots=True)
class Corpus:
    """Tokens as 1-D tensors on the CPU (uint8, uint16, int32 or uint32), each below the vocabulary."""

    training: Tensor
    held_out: Tensor


def load(manifest: Manifest, path: Path | None, tokenizer_path: Path | None) -> Corpus:
    """Return the corpus of a run with one source, which is held in memory.

    Args:
        manifest: names the source by content, and the share to hold out.
        path: the text, folder or token file; None where the source needs none.
        tokenizer_path: the tokenizer file; None for bytes.

    Raises:
        DataError: something is missing, unreadable, too short, or not what the manifest names.
    """
    (part,) = manifest.data.parts
    return load_part(manifest, part, path, lambda: tokenizer.load(manifest.tokenizer, tokenizer_path))


def load_part(
    manifest: Manifest, part: Part, path: Path | None, encoder: Callable[[], tokenizer.Tokenizer]
) -> Corpus:
    """Return one source's corpus, which is held in memory.

    Raises:
        DataError: as `load`.
    """
    if part.source == "tokens":
        corpus = _split_tokens(_map_tokens(manifest, part, sources.given(path)), manifest.data.held_out)
    else:
        text = sources.text(part.source, path)
        if part.sha256 is not None:
            sources.compare(part, path, hashlib.sha256(text).digest())
        corpus = _split_text(text, encoder(), manifest.data.held_out)
    _check_length(corpus, manifest)
    return corpus


def window_count(tokens: Tensor, context: int) -> int:
    """Return how many windows of `context` tokens and one target more `tokens` holds; targets overlap."""
    return max(0, (tokens.numel() - 1) // context)


def batch(tokens: Tensor, windows: list[int], context: int) -> Tensor:
    """Return the numbered windows as int64 (len(windows), context + 1)."""
    starts = (window * context for window in windows)
    return torch.stack([tokens[start : start + context + 1] for start in starts]).to(torch.int64)


def _split_text(text: bytes, encoder: tokenizer.Tokenizer, share: float) -> Corpus:
    """Hold out segments that are spread evenly over the text, so that both parts are of one kind."""
    # A text too small for many segments gets smaller ones, not a larger share held out.
    size = min(SEGMENT, int(len(text) * share))
    if size < 1:
        raise _too_short(f"{len(text)} bytes")
    segments = cut(text, size)
    count = max(1, round(len(segments) * share))
    held = {(2 * i + 1) * len(segments) // (2 * count) for i in range(count)}
    tokens = encoder.encode(segments)
    return Corpus(
        training=torch.cat([piece for i, piece in enumerate(tokens) if i not in held]),
        held_out=torch.cat([piece for i, piece in enumerate(tokens) if i in held]),
    )


def cut(text: bytes, size: int) -> list[bytes]:
    """Cut UTF-8 `text` every `size` bytes, or right after the character that stands there."""
    segments: list[bytes] = []
    start = 0
    while start < len(text):
        end = min(start + size, len(text))
        while end < len(text) and text[end] & 0xC0 == 0x80:
            end += 1
        segments.append(text[start:end])
        start = end
    return segments


def _map_tokens(manifest: Manifest, part: Part, path: Path) -> Tensor:
    sources.compare(part, path, sources.file_hash(path))
    vocabulary = manifest.tokenizer.vocabulary
    dtype = torch.uint16 if vocabulary <= 1 << 16 else torch.uint32
    size = path.stat().st_size
    if size == 0 or size % dtype.itemsize:
        raise DataError(
            f"{path} has {size} bytes, no whole number of {dtype.itemsize}-byte tokens",
            "Write little-endian uint16 for a vocabulary of at most 65536, else uint32.",
        )
    tokens = torch.from_file(str(path), size=size // dtype.itemsize, dtype=dtype)
    largest = max(int(part.to(torch.int64).max()) for part in torch.split(tokens, _SCAN))
    if largest >= vocabulary:
        raise DataError(
            f"{path} holds token {largest}, the run's vocabulary ends at {vocabulary - 1}",
            "Take the token file that the run's founder used.",
        )
    return tokens


def _split_tokens(tokens: Tensor, share: float) -> Corpus:
    held = int(tokens.numel() * share)
    return Corpus(training=tokens[: tokens.numel() - held], held_out=tokens[tokens.numel() - held :])


def _check_length(corpus: Corpus, manifest: Manifest) -> None:
    context, shards = manifest.model.context, manifest.data.shards
    windows = window_count(corpus.training, context)
    if windows < shards:
        raise _too_short(f"{windows} training windows of {context} tokens for {shards} shards")
    if window_count(corpus.held_out, context) < 1:
        raise _too_short(f"{corpus.held_out.numel()} held-out tokens for a context of {context}")


def _too_short(have: str) -> DataError:
    return DataError(
        f"the text is too short: {have}",
        "Take more text, fewer data.shards, a shorter model.context or a larger data.held_out.",
    )
