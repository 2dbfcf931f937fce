import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peer.errors import DataError
from peer.models.tokens import byte_tokenizer, parse, tokenizer_json
from protocol.manifest import Tokenizer

BYTES = parse(tokenizer_json(Tokenizer(), None))


@given(st.text())
def test_tokens_are_the_bytes_of_the_text(text):
    tokens = BYTES.encode(text, add_special_tokens=False).ids
    assert bytes(tokens) == text.encode()
    assert BYTES.decode(tokens) == text


@pytest.mark.parametrize("text", ["<s> </s> <|end|>", "\x00\x7f\x80\r\n\t  ", "é€😀 \u2028Ġ▁\ufeffe\u0301"])
def test_nothing_is_special(text):
    assert bytes(BYTES.encode(text).ids) == text.encode()


def test_every_byte_has_a_token():
    assert sorted(byte_tokenizer().get_vocab().values()) == list(range(256))


def test_the_runs_own_file_is_passed_through_byte_for_byte(words):
    manifest = words.manifest.tokenizer
    assert tokenizer_json(manifest, words.tokenizer_path) == words.tokenizer_path.read_bytes()


def test_another_file_is_refused(words, tmp_path):
    other = tmp_path / "tokenizer.json"
    other.write_bytes(words.tokenizer_path.read_bytes() + b" ")
    with pytest.raises(DataError, match=hashlib.sha256(other.read_bytes()).hexdigest()[:16]):
        tokenizer_json(words.manifest.tokenizer, other)
    with pytest.raises(DataError, match="none was given"):
        tokenizer_json(words.manifest.tokenizer, None)


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff"])
def test_what_is_no_tokenizer_is_refused(content):
    with pytest.raises(DataError, match=r"tokenizer\.json is damaged"):
        parse(content)
