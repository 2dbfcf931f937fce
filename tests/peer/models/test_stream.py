import pytest
from hypothesis import given
from hypothesis import strategies as st

from peer.models.stream import UNKNOWN, for_terminal, pieces
from peer.models.tokens import byte_tokenizer

BYTES = byte_tokenizer()
PROMPT = list("Où".encode())


@given(st.binary())
def test_together_the_pieces_are_the_whole(content):
    assert "".join(pieces(BYTES, PROMPT, content)) == content.decode(errors="replace")


@given(st.text(st.characters(exclude_characters=UNKNOWN, exclude_categories=["Cs"])))
def test_each_character_comes_with_its_last_byte(text):
    assert list(pieces(BYTES, PROMPT, text.encode())) == list(text)


def test_a_character_that_never_ends_is_told_as_unknown():
    assert list(pieces(BYTES, PROMPT, b"a\xe2\x82")) == ["a", UNKNOWN]
    assert list(pieces(BYTES, PROMPT, b"\xe2\x82b")) == [UNKNOWN + "b"]


def test_words_keep_their_spaces(words):
    import tokenizers

    known = tokenizers.Tokenizer.from_file(str(words.tokenizer_path))
    text = "the king's own horses, and Zürich"
    tokens = known.encode(text).ids
    assert known.decode(tokens[:2]) + "".join(pieces(known, tokens[:2], tokens[2:])) == text


@pytest.mark.parametrize(
    ("text", "shown"), [("a\nb\tc", "a\nb\tc"), ("\x1b[2J", "�[2J"), ("x\ry\x07", "x�y�"), ("\u202eé", "�é")]
)
def test_a_terminal_is_not_moved(text, shown):
    assert for_terminal(text) == shown
