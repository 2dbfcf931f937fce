"""The token that follows each row of a stream: a model can then know where one text ends."""

import json
from pathlib import Path

from peer.errors import DataError
from peer.trainer.tokenizer import parse, read

NO_UTF8 = 0xFF
"""A byte that no UTF-8 text has."""

USUAL = ("<|endoftext|>", "</s>", "<eos>", "<|end_of_text|>", "<|end|>", "[EOS]", "[SEP]", "<|im_end|>")
"""What tokenizers call it."""

SETTINGS = "tokenizer_config.json"
MOST_SETTINGS = 1 << 24
"""Bytes of a tokenizer's settings: some hold a table of all added tokens."""


def token(tokenizer: Path | None, named: str | None) -> int:
    """Return the token.

    Args:
        tokenizer: the run's tokenizer file; None for bytes.
        named: the token as text; None to take the tokenizer's own.

    Raises:
        DataError: the tokenizer cannot be read, or has no such token, or none that is known to end a text.
    """
    if tokenizer is None:
        return _byte(named)
    known = parse(read(tokenizer), tokenizer)
    for name in [named] if named is not None else [*_own(tokenizer), *USUAL]:
        if (found := known.token_to_id(name)) is not None:
            return int(found)
    what = f"no token {named!r}" if named is not None else "no token that is known to end a text"
    raise DataError(f"the tokenizer {tokenizer} has {what}", "Name one of its tokens with data.end.")


def _byte(named: str | None) -> int:
    if named is None:
        return NO_UTF8
    content = named.encode()
    if len(content) != 1:
        raise DataError(
            f"data.end = {named!r} is {len(content)} bytes, and each byte is a token", "Name one byte."
        )
    return content[0]


def _own(tokenizer: Path) -> list[str]:
    """Return what the file beside the tokenizer calls it, if there is one."""
    path = tokenizer.with_name(SETTINGS)
    try:
        if path.stat().st_size > MOST_SETTINGS:
            return []
        told = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return []
    name = told.get("eos_token") if isinstance(told, dict) else None
    if isinstance(name, dict):
        name = name.get("content")
    return [name] if isinstance(name, str) else []
