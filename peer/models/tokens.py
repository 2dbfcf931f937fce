"""Tokenizers as files: the run's own, or one of 256 tokens that gives exactly the bytes of the text."""

from pathlib import Path
from typing import Any

import msgspec
import tokenizers
from tokenizers import decoders, models, pre_tokenizers

from peer.errors import DataError
from peer.trainer import tokenizer
from protocol import manifest

BYTES = 256


def letters() -> list[str]:
    """Return the character by which byte-level tokenizers write each byte (GPT-2's table)."""
    shown = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    hidden = [byte for byte in range(BYTES) if byte not in shown]
    places = {byte: byte for byte in shown} | {byte: BYTES + place for place, byte in enumerate(hidden)}
    return [chr(places[byte]) for byte in range(BYTES)]


def byte_tokenizer() -> tokenizers.Tokenizer:
    """Return a tokenizer whose tokens are the bytes of UTF-8: a byte-level BPE that merges nothing."""
    vocabulary = {letter: byte for byte, letter in enumerate(letters())}
    made = tokenizers.Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    made.decoder = decoders.ByteLevel()
    return made


def tokenizer_json(wanted: manifest.Tokenizer, path: Path | None) -> bytes:
    """Return the run's tokenizer as a `tokenizer.json`: its own file as it is, or one for bytes.

    Raises:
        DataError: the file is missing, or not the run's.
    """
    if wanted.kind == "bytes":
        return byte_tokenizer().to_str(pretty=True).encode()
    tokenizer.load(wanted, path)  # for its checks
    if path is None:
        raise DataError("the run's tokenizer is a file, and none was given", "Name it with --tokenizer.")
    return path.read_bytes()


def tokenizer_config(context: int) -> dict[str, Any]:
    """Return `tokenizer_config.json`: nothing at the ends of a text, as the model was trained."""
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": context,
        "model_input_names": ["input_ids", "attention_mask"],
        "clean_up_tokenization_spaces": False,
        "add_bos_token": False,
        "add_eos_token": False,
    }


def parse(content: bytes) -> tokenizers.Tokenizer:
    """Return the tokenizer of a `tokenizer.json`.

    Raises:
        DataError: it is none.
    """
    try:
        return tokenizers.Tokenizer.from_str(content.decode())
    except Exception as error:  # the library raises nothing more precise
        raise DataError(f"the tokenizer.json is damaged: {error}", "Export the model again.") from error


def pretty(value: object) -> bytes:
    """Return a value as JSON for people."""
    return msgspec.json.format(msgspec.json.encode(value)) + b"\n"
