import hashlib
import json

import pytest
import torch

from peer.errors import DataError
from peer.trainer.tokenizer import Bytes, load
from protocol.manifest import Tokenizer
from tests.peer.trainer.tiny import write_file

WORDS = {"[UNK]": 0, "the": 1, "cat": 2, "sat": 3}
FILE = json.dumps(
    {
        "version": "1.0",
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": None,
        "decoder": None,
        "model": {"type": "WordLevel", "vocab": WORDS, "unk_token": "[UNK]"},
    }
)


def wanted(content: str = FILE, vocabulary: int = 4) -> Tokenizer:
    return Tokenizer(kind="file", vocabulary=vocabulary, sha256=hashlib.sha256(content.encode()).digest())


def test_bytes_are_their_own_tokens():
    (tokens,) = load(Tokenizer(), None).encode(["aé".encode()])
    assert tokens.dtype == torch.uint8
    assert tokens.tolist() == [0x61, 0xC3, 0xA9]
    assert isinstance(load(Tokenizer(), None), Bytes)


def test_a_file_tokenises(tmp_path):
    encoder = load(wanted(), write_file(tmp_path, "tokenizer.json", FILE))
    assert [tokens.tolist() for tokens in encoder.encode([b"the cat sat", b"the dog"])] == [[1, 2, 3], [1, 0]]


def test_another_file_is_refused(tmp_path):
    with pytest.raises(DataError, match="hash"):
        load(wanted(), write_file(tmp_path, "tokenizer.json", FILE + " "))


def test_a_larger_vocabulary_is_refused(tmp_path):
    with pytest.raises(DataError, match="knows 4 tokens"):
        load(wanted(vocabulary=3), write_file(tmp_path, "tokenizer.json", FILE))


def test_nonsense_is_refused(tmp_path):
    with pytest.raises(DataError, match="not a tokenizer file"):
        load(wanted("{}"), write_file(tmp_path, "tokenizer.json", "{}"))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match="none was given"):
        load(wanted(), None)
    with pytest.raises(DataError, match=r"absent\.json cannot be read"):
        load(wanted(), tmp_path / "absent.json")
