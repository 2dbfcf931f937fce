import json

import pytest

from peer.errors import DataError
from peer.trainer.streams.end import token


@pytest.fixture
def tokenizer(tmp_path):
    """A tokenizer of a few words, two of which could end a text."""
    from tokenizers import Tokenizer, models

    words = {"a": 0, "</s>": 1, "<eos>": 2, "stop": 3}
    Tokenizer(models.WordLevel(words, unk_token="a")).save(str(tmp_path / "tokenizer.json"))
    return tmp_path / "tokenizer.json"


def test_bytes_are_ended_by_one_that_no_text_has():
    assert token(None, None) == 255
    assert token(None, "\n") == 10
    with pytest.raises(DataError, match="is 2 bytes, and each byte is a token"):
        token(None, "\u00e9")


def test_a_tokenizer_has_its_own(tokenizer):
    assert token(tokenizer, None) == 1
    assert token(tokenizer, "stop") == 3
    with pytest.raises(DataError, match=r"has no token 'halt'\. Name one of its tokens with data\.end"):
        token(tokenizer, "halt")


@pytest.mark.parametrize("told", ["<eos>", {"content": "<eos>"}])
def test_what_stands_beside_it_says_which(tokenizer, told):
    tokenizer.with_name("tokenizer_config.json").write_text(json.dumps({"eos_token": told}))
    assert token(tokenizer, None) == 2


@pytest.mark.parametrize("told", ["", "[", "[]", "{}", '{"eos_token": 3}', '{"eos_token": {}}', "[" * 10_000])
def test_what_stands_beside_it_may_be_anything(tokenizer, told):
    tokenizer.with_name("tokenizer_config.json").write_text(told)
    assert token(tokenizer, None) == 1


def test_none_is_said_in_a_line(tmp_path):
    from tokenizers import Tokenizer, models

    Tokenizer(models.WordLevel({"a": 0}, unk_token="a")).save(str(tmp_path / "t.json"))
    with pytest.raises(DataError, match="no token that is known to end a text"):
        token(tmp_path / "t.json", None)


def test_a_tokenizer_that_is_not_there_is_said_in_a_line(tmp_path):
    with pytest.raises(DataError, match="cannot be read: No such file"):
        token(tmp_path / "nowhere.json", None)
